#!/usr/bin/env python3
"""play.py - plays scripted SMTP/TCP dialogues (corpus.jsonl) against a host:port and reports step-by-step conformance as JSON.
Python 3.11 standard library only.  See README.md for the format.

  play.py HOST:PORT --corpus corpus.jsonl [--profile profile.json] [--id a,b | --class legit,bot | --config base] [--src IP]
          [--backend CTL.sock] [--pid PID] [--log FILE] [--metrics URL] [--redis HOST:PORT] [--env-cmd CMD] [--jobs N] [--json OUT] [-v]
  play.py --check --corpus corpus.jsonl         only validate the corpus
Exit status: 0 all played dialogues pass, 1 some fail, 2 usage/corpus error.
A property that cannot be measured with what was given (no --pid, no --backend ...) is "unchecked" (null): neither pass nor fail.
"""
import argparse, concurrent.futures as cf, errno, ipaddress, json, os, random, re, selectors, signal, socket, ssl, struct, subprocess, sys, threading, time, urllib.request, hashlib, base64

DEFAULTS = dict(
    # seconds; a profile states what the server under test is configured to. Expressions in the corpus use these names.
    greet_wait=6.0, reply_max=20.0, grey_delay=8.0, grey_window=3600.0, cmd_timeout=300.0, data_timeout=300.0, tls_timeout=30.0,
    patience=60.0, conn_limit=50, proxy_timeout=5.0, dnsbl_timeout=5.0, slack=5.0, silence=2.0, skip_wait_over=120.0,
    # names
    domain="local.test", rcpt="bob@local.test", rcpt2="carol@local.test", rcpt3="dave@local.test", trap="trap@local.test",
    badrcpt="no-such-user@local.test", relay="victim@elsewhere.example", sender_domain="sender.example", server_name="mx.local.test",
    # client addresses
    pool4="198.18.100.0-198.19.255.255", pool6="2001:db8:100::/40", trusted=["198.18.1.10"], trusted6=[], dnsbl="198.18.66.0/24",
    dnswl="198.18.77.0/24", forged="198.18.88.0/24", escptr="198.18.89.0/24", ports={}, flags={}, can=[])

class Skip(Exception): pass
class StepFail(Exception): pass

def unescape(s): return s.encode("latin-1")
def show(b, n=300):
    s = b[:n].decode("latin-1"); s = s.encode("unicode_escape").decode("ascii")
    return s + ("...(+%d)" % (len(b) - n) if len(b) > n else "")

class Reply:
    __slots__ = ("code", "lines", "raw", "t", "bad")
    def __init__(self, raw, t):
        self.raw, self.t, self.bad, self.lines, self.code = raw, t, [], [], ""
        for l in raw.split(b"\n")[:-1]:
            if not l.endswith(b"\r"): self.bad.append("line ends in bare LF")
            l = l[:-1] if l.endswith(b"\r") else l
            if b"\r" in l: self.bad.append("bare CR in reply")
            if len(l) + 2 > 512: self.bad.append("reply line > 512 octets (RFC 5321 4.5.3.1.5)")
            if not re.match(rb"[2-5][0-5][0-9]([ -]|$)", l): self.bad.append("not a reply line: " + show(l, 40))
            if not re.fullmatch(rb"[\t\x20-\x7e]*", l): self.bad.append("non-printable or non-ASCII byte in reply (RFC 5321 4.2)")
            self.lines.append(l)
        codes = {l[:3] for l in self.lines}
        if len(codes) > 1: self.bad.append("different codes within one multi-line reply")
        self.code = self.lines[0][:3].decode("latin-1") if self.lines else ""
        for l in self.lines:
            m = re.match(rb"[245]\d\d[ -]([245])\.\d{1,3}\.\d{1,3}\b", l)
            if m and m.group(1) != l[:1]: self.bad.append("enhanced code class disagrees with reply code (RFC 2034 4)")
        self.bad = sorted(set(self.bad))
    def text(self): return b"\n".join(self.lines).decode("latin-1")

class Conn:
    def __init__(self, dst, src, P, t0, family=None, rcvbuf=None):
        self.P, self.t0, self.src, self.dst = P, t0, src, dst
        fam = socket.AF_INET6 if ":" in dst[0] else socket.AF_INET
        self.s = socket.socket(fam, socket.SOCK_STREAM)
        if rcvbuf: self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.settimeout(10)
        try: self.s.setsockopt(socket.IPPROTO_IP, 24, 1)          # IP_BIND_ADDRESS_NO_PORT (Linux); harmless elsewhere
        except OSError: pass
        if src: self.s.bind((src, 0))
        self.buf, self.eof, self.rst, self.tls, self.sent, self.replies, self.last_send, self.ext = b"", False, False, None, 0, [], time.time(), None
        self.total_in = 0; self.inbound = bytearray(); self.first_byte = None; self.closed_at = None
        try:
            self.s.connect(dst); self.local = self.s.getsockname()
        except OSError as e: raise StepFail("connect failed: %s" % e)
        self.t_conn = time.time()
    def _recv(self, timeout):
        """one read; True if bytes came, False on timeout; sets eof"""
        if self.eof: return False
        self.s.settimeout(max(0.001, timeout))
        try: d = self.s.recv(65536)
        except (socket.timeout, TimeoutError, ssl.SSLWantReadError): return False
        except ssl.SSLError as e: self.eof = True; self.closed_at = time.time(); return False
        except OSError as e: self.eof = True; self.rst = e.errno == errno.ECONNRESET; self.closed_at = time.time(); return False
        if not d: self.eof = True; self.closed_at = time.time(); return False
        if self.first_byte is None: self.first_byte = time.time()
        self.total_in += len(d)
        if len(self.inbound) < 1 << 20: self.inbound += d
        self.buf += d
        return True
    def reply(self, timeout):
        end = time.time() + timeout; pos = 0
        while True:
            while True:
                i = self.buf.find(b"\n", pos)
                if i < 0: break
                line = self.buf[pos:i + 1]; pos = i + 1
                if line[3:4] != b"-" or not line[:3].isdigit():
                    raw, self.buf = self.buf[:pos], self.buf[pos:]
                    r = Reply(raw, time.time() - self.t0); self.replies.append(r); return r
            left = end - time.time()
            if left <= 0 or self.eof: return None
            self._recv(min(left, 1.0))
    def send(self, data, seg=0, gap=0.0, timeout=None):
        self.last_send = time.time()
        deadline = time.time() + (timeout or self.P["patience"])
        try:
            if not seg:
                self.s.settimeout(timeout or self.P["patience"]); self.s.sendall(data)
            else:
                self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for i in range(0, len(data), seg):
                    self.s.settimeout(10); self.s.sendall(data[i:i + seg])
                    if gap: time.sleep(gap)
                    if self.eof or time.time() > deadline: break
            self.sent += len(data); self.last_send = time.time(); return True
        except (OSError, ssl.SSLError) as e:
            if getattr(e, "errno", None) in (errno.EPIPE, errno.ECONNRESET): self.rst = True
            self.last_send = time.time(); return False
    def wait_eof(self, timeout):
        end = time.time() + timeout
        while not self.eof and time.time() < end: self._recv(min(0.5, end - time.time()))
        return self.eof
    def start_tls(self, o):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
        v = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        import warnings; warnings.simplefilter("ignore", DeprecationWarning)
        if "max" in o or "min" in o:
            if o.get("max") in ("1.0", "1.1") or o.get("min") in ("1.0", "1.1"):
                try: c.set_ciphers("ALL:@SECLEVEL=0")
                except ssl.SSLError: pass
            c.minimum_version = v[o.get("min", o.get("max"))]; c.maximum_version = v[o.get("max", "1.3")]
        self.s.settimeout(o.get("timeout", 15))
        self.s = c.wrap_socket(self.s, server_hostname=o.get("sni") or None, do_handshake_on_connect=True)
        self.tls = self.s.version(); self.ext = None; self.pre_tls_leftover = self.buf; self.buf = b""
    def close(self, how="fin"):
        try:
            if how == "rst": self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.s.close()
        except OSError: pass

# ---------------------------------------------------------------- the adaptive client: what a real MTA does, per persona
PERSONAS = dict(  # verb spellings and habits as captured in November 2026 from the real programs, * = from documentation, not captured
    postfix=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", pipe=True, size=True, orcpt=True, quit_with_dot=True, tls=True),
    exim=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", pipe=True, size=True, bdat=True, tls=True),
    sendmail=dict(ehlo="EHLO", mail="MAIL From:", rcpt="RCPT To:", pipe=True, size=True),
    qmail=dict(ehlo=None, mail="MAIL FROM:", rcpt="RCPT TO:"),                                   # * lock-step HELO
    exchange=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", pipe=True, size=True, bdat=True, tls=True, b8=True),   # *
    gmail=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", pipe=True, size=True, bdat=True, tls=True),               # *
    opensmtpd=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", tls=True, noquit=True),
    nullmailer=dict(ehlo=None, mail="MAIL FROM:", rcpt="RCPT TO:"),
    dma=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:"),
    curl=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", size=True),
    msmtp=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", pipe=True),
    smtplib=dict(ehlo="ehlo", mail="mail FROM:", rcpt="rcpt TO:", size=True, lower=True),
    swaks=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:", tls=True),
    minimal=dict(ehlo="EHLO", mail="MAIL FROM:", rcpt="RCPT TO:"),
)
def stuff(m):
    m = re.sub(rb"(?m)^\.", b"..", m)
    return m if m.endswith(b"\r\n") else m + b"\r\n"
def kind(code): return {"2": "ok", "3": "ok", "4": "deferred", "5": "rejected"}.get(code[:1], "garbage")

def run_tx(c, o, P, fresh=True):
    """-> dict(outcome, stage, code, codes{}, rcpt{}, sent_bytes)"""
    p = PERSONAS[o.get("persona", "minimal")]; T = P["patience"]; low = p.get("lower")
    up = (lambda s: s.lower()) if low else (lambda s: s)
    R = dict(outcome=None, stage=None, code=None, codes={}, rcpt={}, tls=None)
    def done(outcome, stage, r=None):
        R.update(outcome=outcome, stage=stage, code=r.code if r else None)
        if r is not None and not c.eof and not o.get("keep") and not p.get("noquit"):
            if c.send(up("QUIT").encode() + b"\r\n"): q = c.reply(T); R["codes"]["quit"] = q.code if q else None
        return R
    def get(stage):
        r = c.reply(T)
        R["codes"][stage] = r.code if r else None
        return r
    def lost(stage): return done("dropped" if c.eof else "timeout", stage)
    helo = o["helo"]
    if fresh:
        r = get("greet")
        if not r: return lost("greet")
        if r.code != "220": return done(kind(r.code), "greet", r)
    def hello():
        if p["ehlo"]:
            c.send((p["ehlo"] + " " + helo + "\r\n").encode("latin-1")); r = get("ehlo")
            if r and r.code == "250":
                c.ext = {l[4:].decode("latin-1").split(" ")[0].upper(): l[4:].decode("latin-1").partition(" ")[2] for l in r.lines[1:]}
                return r
            if r is None or r.code[:1] != "5": return r
        c.send(((up("HELO ")) + helo + "\r\n").encode("latin-1")); c.ext = {}
        return get("helo")
    if fresh or o.get("rehello"):
        r = hello()
        if not r: return lost("ehlo")
        if r.code[:1] != "2": return done(kind(r.code), "ehlo", r)
        want = o.get("tls", "may" if p.get("tls") else "no")
        if want != "no" and "STARTTLS" in c.ext:
            c.send(b"STARTTLS\r\n"); r = get("starttls")
            if r and r.code == "220":
                try: c.start_tls({})
                except (OSError, ssl.SSLError) as e: return done("dropped", "tls")
                R["tls"] = c.tls; r = hello()
                if not r: return lost("ehlo-tls")
                if "STARTTLS" in (c.ext or {}): R["starttls_again"] = True
            elif not r: return lost("starttls")
        elif want == "require":
            done("no-tls", "ehlo", r); R["outcome"] = "no-tls"; return R
    ext = c.ext or {}
    msg = o.get("msg", b"") ; body = stuff(msg)
    lim = ext.get("SIZE") or ""
    if lim.isdigit() and 0 < int(lim) < len(msg): done("too-big", "ehlo", r); R["outcome"] = "too-big"; return R
    m = up(p["mail"]) if low else p["mail"]
    mail = m + "<" + o["from"] + ">"
    if low: mail = p["mail"] + "<" + o["from"] + ">"
    if p.get("size") and "SIZE" in ext: mail += (" size=%d" if low else " SIZE=%d") % len(msg)
    if (p.get("b8") or o.get("body8")) and "8BITMIME" in ext: mail += " BODY=8BITMIME"
    if o.get("binary") and "BINARYMIME" in ext and "CHUNKING" in ext: mail += " BODY=BINARYMIME"
    if o.get("smtputf8"):
        if "SMTPUTF8" not in ext: done("no-smtputf8", "ehlo", r); R["outcome"] = "no-smtputf8"; return R
        mail += " SMTPUTF8"
    mail += o.get("mail_args", "")
    cmds = [("mail", mail)]
    for i, a in enumerate(o["rcpts"]):
        x = p["rcpt"] + "<" + a + ">"
        if p.get("orcpt") and "DSN" in ext and re.fullmatch(r"[\x21-\x7e]+", a) and not re.search(r'[+="\\]', a): x += " ORCPT=rfc822;" + a
        cmds.append(("rcpt:%d" % i, x))
    stop_rcpt = o.get("abort_at") == "rcpt"
    chunk = o.get("bdat") if "CHUNKING" in ext else None
    if p.get("bdat") and "CHUNKING" in ext and chunk is None: chunk = [len(msg)]
    if (o.get("binary") or o.get("need_bdat")) and "CHUNKING" not in ext: done("no-bdat", "ehlo", r); R["outcome"] = "no-bdat"; return R
    if not stop_rcpt and not chunk: cmds.append(("data", up("DATA")))
    piped = p.get("pipe") and "PIPELINING" in ext and o.get("pipelining") != "never"
    wire = lambda s: s.encode("latin-1") + b"\r\n"
    good = 0; res = {}; stopped = None
    if piped and not c.send(b"".join(wire(x) for _, x in cmds)): pass
    for k, x in cmds:
        if not piped:
            if k == "data" and not good: break
            if not c.send(wire(x)): return lost(k)
        r = get(k.split(":")[0] if k != "data" else "data")
        if not r: return lost(k.split(":")[0])
        res[k] = r
        if k.startswith("rcpt:"):
            R["rcpt"][o["rcpts"][int(k[5:])]] = r.code
            if r.code[:1] == "2": good += 1
        if r.code == "421": return done("deferred", k.split(":")[0], r)
        if k == "mail" and r.code[:1] != "2" and not piped: return done(kind(r.code), "mail", r)
    if res["mail"].code[:1] != "2": return done(kind(res["mail"].code), "mail", res["mail"])
    if stop_rcpt:
        if o.get("callout_rset"): c.send(b"RSET\r\n"); get("rset")
        last = res["rcpt:0"]; return done("rcpt-ok" if last.code[:1] == "2" else kind(last.code), "rcpt", last)
    if not chunk and "data" in res and res["data"].code == "354" and not good:
        c.send(b".\r\n"); r = get("eod")                         # RFC 2920 3.1: DATA accepted without a valid recipient
    if not good:
        cs = [res[k].code[:1] for k in res if k.startswith("rcpt:")]
        return done("deferred" if "4" in cs else "rejected", "rcpt", res["rcpt:0"])
    if chunk:
        off = 0; sizes = list(chunk)
        if sum(sizes) < len(msg): sizes.insert(len(sizes) - 1 if sizes[-1] == 0 else len(sizes), len(msg) - sum(sizes))
        for i, n in enumerate(sizes):
            lastc = i == len(sizes) - 1
            c.send(b"BDAT %d%s\r\n" % (n, b" LAST" if lastc else b"") + msg[off:off + n], timeout=o.get("send_timeout")); off += n
            r = get("bdat")
            if not r: return lost("bdat")
            if r.code[:1] != "2": return done(kind(r.code), "bdat", r)
        return done("accepted", "bdat", r)
    r = res["data"]
    if r.code != "354": return done(kind(r.code), "data", r)
    if o.get("abort_at") == "data-half":
        c.send(body[:len(body) // 2]); c.close(o.get("how", "fin")); R.update(outcome="aborted", stage="data"); return R
    tail = b".\r\n" + (b"QUIT\r\n" if piped and p.get("quit_with_dot") and not o.get("keep") else b"")
    ok = c.send(body + tail, seg=o.get("seg", 0), gap=o.get("gap", 0), timeout=o.get("send_timeout"))
    r = get("eod")
    if not r: return lost("eod")
    R["codes"]["eod"] = r.code
    out = "accepted" if r.code[:1] == "2" else kind(r.code)
    if b"QUIT" in tail: q = c.reply(T); R["codes"]["quit"] = q.code if q else None; R.update(outcome=out, stage="eod", code=r.code); return R
    return done(out, "eod", r)

# ---------------------------------------------------------------- environment: addresses, probes
class Addresses:
    """hands out client addresses never used before in this run; every 'unknown' client sits in a /24 (or /64) of its own"""
    def __init__(self, P, seed):
        a, b = P["pool4"].split("-"); self.lo, self.hi = int(ipaddress.ip_address(a)) >> 8, int(ipaddress.ip_address(b)) >> 8
        self.n6 = ipaddress.ip_network(P["pool6"]); self.i = seed; self.lock = threading.Lock(); self.P = P; self.k = {}
    def nxt(self):
        with self.lock: self.i += 1; return self.i
    def unknown(self):
        i = self.nxt(); span = self.hi - self.lo + 1
        return str(ipaddress.ip_address(((self.lo + i % span) << 8) + 10 + (i // span) % 200))
    def unknown6(self):
        i = self.nxt(); return str(self.n6[(i % (1 << 20) << 64) + 0x25])
    def sibling(self, ip, other=False):
        a = ipaddress.ip_address(ip)
        with self.lock: self.k[ip] = self.k.get(ip, 0) + 1; j = self.k[ip]
        return str(a + j) if a.version == 6 or not other else self.unknown()
    def fixed(self, key):
        with self.lock: self.k[key] = self.k.get(key, 0) + 1; j = self.k[key]
        return str(ipaddress.ip_network(self.P[key])[5 + j % 120])

def backend_state(path):
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(path); b = b""
    while True:
        d = s.recv(1 << 20)
        if not d: break
        b += d
    return json.loads(b)
def rss(pid):
    for l in open("/proc/%d/status" % pid):
        if l.startswith("VmRSS"): return int(l.split()[1]) / 1024
def redis_cmd(addr, *args, tmo=3):
    h, p = addr.rsplit(":", 1); s = socket.create_connection((h, int(p)), tmo); s.settimeout(tmo)
    s.sendall(b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in (x if isinstance(x, bytes) else str(x).encode() for x in args)))
    f = s.makefile("rb")
    def rd():
        l = f.readline()
        t, v = l[:1], l[1:-2]
        if t in b"+-": return v
        if t == b":": return int(v)
        if t == b"$": n = int(v); return None if n < 0 else (f.read(n + 2)[:-2])
        if t == b"*": return [rd() for _ in range(int(v))]
    r = rd(); s.close(); return r
def scrape(url):
    with urllib.request.urlopen(url, timeout=5) as f: t = f.read().decode("utf-8", "replace")
    return [l for l in t.splitlines() if l and not l.startswith("#")]
def log_size(path):
    try: return os.path.getsize(path)
    except OSError: return 0

class Player:
    def __init__(self, a, P, corpus):
        self.a, self.P, self.corpus = a, P, corpus
        h, _, p = a.target.rpartition(":"); self.dst = (h.strip("[]"), int(p))
        self.addr = Addresses(P, a.seed); self.run_id = "%06x" % random.randrange(1 << 24)
    def dest(self, port, src=""):
        if not port or port == "smtp": return self.dest("smtp6") if ":" in src and ":" not in self.dst[0] else self.dst
        if port not in self.P["ports"]: raise Skip("no port '%s' in the profile" % port)
        v = self.P["ports"][port]
        if isinstance(v, int): return (self.dst[0], v)
        h, _, p = v.rpartition(":"); return (h.strip("[]"), int(p))
    def secs(self, x):
        if isinstance(x, (int, float)): return float(x)
        if not re.fullmatch(r"[a-z_0-9.+*/() -]+", x): raise ValueError("bad time expression " + x)
        return float(eval(x, {"__builtins__": {}}, {k: v for k, v in self.P.items() if isinstance(v, (int, float))}))
    def pick(self, sel, cur=None):
        if not sel or sel == "@same": return cur
        if self.a.src and sel == "@unknown": return self.a.src
        A = self.addr
        if sel == "@unknown": return A.unknown()
        if sel == "@unknown6": return A.unknown6()
        if sel == "@sibling": return A.sibling(cur)
        if sel == "@other24": return A.unknown()
        if sel == "@trusted": return random.choice(self.P["trusted"]) if self.P["trusted"] else self.none("trusted address")
        if sel == "@trusted6": return random.choice(self.P["trusted6"]) if self.P["trusted6"] else self.none("trusted6 address")
        if sel in ("@dnsbl", "@dnswl", "@forged", "@escptr"): return A.fixed(sel[1:])
        return sel
    def none(self, what): raise Skip("profile has no " + what)
    def fill(self, s, V):
        def rep(m):
            k = m.group(1)
            q = re.fullmatch(r"(.+?)\*(\d+)", k, re.S)
            if q: return q.group(1) * int(q.group(2))
            if k not in V: raise StepFail("unknown template {{%s}}" % k)
            return str(V[k])
        return re.sub(r"\{\{(.+?)\}\}", rep, s, flags=re.S)
    # ------------------------------------------------------------------ one dialogue
    def play(self, d):
        P, t0 = self.P, time.time()
        out = dict(id=d["id"], **{"class": d["class"]}, verdict=None, src=None, steps=[], must=[], seconds=None)
        conns, held, floods, tx, logs = {}, [], [], [], {}
        S = dict(cur=None, deadline=t0 + 900)
        before = {}
        try:
            if d.get("needs"):
                for n in d["needs"]:
                    if n not in P["can"] and not (n == "env" and self.a.env_cmd): raise Skip("needs '%s', not in profile.can" % n)
            src = S["cur"] = self.pick({"unknown": "@unknown", "unknown6": "@unknown6", "passed": "@unknown", "trusted": "@trusted", "trusted6": "@trusted6",
                             "dnsbl": "@dnsbl", "dnswl": "@dnswl", "forged": "@forged", "escptr": "@escptr"}[d.get("client", "unknown")])
            out["src"] = src
            uniq = "u%s%s" % (self.run_id, hashlib.sha1(d["id"].encode()).hexdigest()[:8])
            V = {k: P[k] for k in ("domain", "rcpt", "rcpt2", "rcpt3", "trap", "badrcpt", "relay", "server_name")}
            V.update(uniq=uniq, src=src, helo="mx-%s.%s" % (uniq, P["sender_domain"]), **{"from": "s-%s@%s" % (uniq, P["sender_domain"])})
            V["long64"] = "l" * 64
            if d.get("client") == "passed": self.pass_grey(src, V, out)
            if self.a.backend: before["b"] = backend_state(self.a.backend)["total_sessions"]
            if self.a.pid: before["rss"] = rss(self.a.pid); before["fd"] = len(os.listdir("/proc/%d/fd" % self.a.pid))
            if self.a.log: before["log"] = log_size(self.a.log)
            if self.a.redis and any(m.startswith("redis") for m in d["must"]): before["rk"] = redis_cmd(self.a.redis, "DBSIZE")
            if self.a.metrics and any(m.startswith("metrics") for m in d["must"]): before["m"] = len(scrape(self.a.metrics))
            V_msg = None
            steps = d["steps"]
            if not any("connect" in s for s in steps[:1]) and not steps[0].get("noconnect"): steps = [{"connect": {"port": d.get("listener", "smtp")}}] + steps
            last = [None]
            for n, s in enumerate(steps):
                st = dict(n=n, kind=next((k for k in s if k in KINDS), "?"), ok=None, t=round(time.time() - t0, 3)); out["steps"].append(st)
                name = s.get("on", "A"); c = conns.get(name)
                if "when" in s and not re.search(s["when"], last[0].text() if last[0] else ""): st.update(ok=None, got="skipped: when"); continue
                try: self.step(d, s, st, name, conns, held, floods, tx, V, S, last, t0)
                except StepFail as e:
                    st.update(ok=False, got=st.get("got") or str(e), why=str(e))
                    if s.get("soft"): st["ok"] = None; continue
                    if not s.get("go_on"): break
            self.judge(d, out, conns, floods, tx, V, S, before, t0)
            bad = any(st["ok"] is False for st in out["steps"]) or any(m["ok"] is False for m in out["must"])
            out["verdict"] = "fail" if bad else "pass"
        except Skip as e: out.update(verdict="skip", why=str(e))
        except Exception as e:
            out.update(verdict="error", why="%s: %s" % (type(e).__name__, e))
            if self.a.v: import traceback; traceback.print_exc()
        finally:
            for c in list(conns.values()) + held: c.close()
            for f in floods:
                for c in f["socks"]:
                    try: c.close()
                    except OSError: pass
        out["seconds"] = round(time.time() - t0, 2)
        return out
    def pass_grey(self, src, V, out):
        P = self.P
        if "allow" in P["can"] and self.a.env_cmd: self.env("allow " + src); return
        o = dict(persona="postfix", helo=V["helo"], rcpts=[P["rcpt"]], msg=b"Subject: prelude\r\n\r\nx\r\n", tls="no"); o["from"] = "prelude-" + V["uniq"] + "@" + P["sender_domain"]
        for i in range(3):
            c = Conn(self.dst, src, P, time.time()); r = run_tx(c, o, P); c.close()
            if r["outcome"] == "accepted": out["prelude"] = i + 1; return
            time.sleep(P["grey_delay"] + 1)
        raise Skip("could not pass greylisting in the prelude (%s at %s)" % (r["outcome"], r["stage"]))
    def env(self, what):
        if not self.a.env_cmd: raise Skip("needs --env-cmd for: " + what)
        r = subprocess.run(self.a.env_cmd + " " + what, shell=True, capture_output=True, text=True, timeout=120)
        if r.returncode == 77: raise Skip("env-cmd cannot: " + what)
        if r.returncode: raise StepFail("env-cmd %s: rc %d %s" % (what, r.returncode, r.stderr[:200]))
        return r.stdout
    def step(self, d, s, st, name, conns, held, floods, tx, V, S, last, t0):
        P, k, c = self.P, st["kind"], conns.get(name)
        T = self.secs(s.get("timeout", P["reply_max"]))
        def need():
            if c is None: raise StepFail("no connection " + name)
        if k == "connect":
            o = s["connect"] if isinstance(s["connect"], dict) else {}
            src = self.pick(o.get("src", "@same"), S["cur"])
            if o.get("cur", True) and o.get("src"): S["cur"] = src; V["src"] = src
            if c: held.append(c)
            dst = self.dest(o.get("port", d.get("listener", "smtp")), src)
            conns[name] = Conn(dst, src, P, t0, rcvbuf=o.get("rcvbuf")); st.update(ok=True, got="from %s" % src)
        elif k == "send":
            need(); data = unescape(self.fill(s["send"], V)) * int(s.get("repeat", 1))
            ok = c.send(data, seg=s.get("seg", 0), gap=self.secs(s.get("gap_s", 0)), timeout=self.secs(s["timeout"]) if "timeout" in s else None)
            st.update(got="sent %d bytes: %s%s" % (len(data), show(data, 80), "" if ok else "  [peer refused it]"), ok=True if ok or s.get("may_fail", True) else False)
        elif k in ("expect", "expect_n"):
            need(); rx = s["expect"]; got = []
            for i in range(int(s.get("n", 1))):
                r = c.reply(T)
                if r is None:
                    st["got"] = "; ".join(got) + (" <connection closed>" if c.eof else " <nothing within %.1fs>" % T) + (" buffer=" + show(c.buf, 120) if c.buf else "")
                    if c.eof and s.get("or_close"): st["ok"] = True; return
                    if s.get("or_silence") and not c.eof: st["ok"] = True; return
                    raise StepFail("no reply")
                last[0] = r; got.append(r.text().replace("\n", " | ")[:160])
                if r.code == "250" and re.search(r"EHLO", str(d)) and len(r.lines) > 1: c.ext = {l[4:].decode("latin-1").split(" ")[0].upper(): l[4:].decode("latin-1").partition(" ")[2] for l in r.lines[1:]}
                miss = [e for e in s.get("need_ext", []) if e not in (c.ext or {})]
                if miss and re.search(rx, r.text()): raise Skip("extension not offered: " + " ".join(miss))
                if not re.search(rx, r.text()): st["got"] = "; ".join(got); raise StepFail("reply does not match /%s/" % rx)
            st.update(ok=True, got="; ".join(got))
        elif k == "drain":                      # read whatever comes for S seconds, no judgement
            need(); end = time.time() + self.secs(s["drain"]); got = []
            while time.time() < end and not c.eof:
                r = c.reply(min(0.5, max(0.05, end - time.time())))
                if r: last[0] = r; got.append(r.code)
            st.update(ok=True, got=" ".join(got)[:200] + (" <closed>" if c.eof else ""))
            st["codes"] = got[:2000]
        elif k == "expect_silence":
            need(); end = time.time() + self.secs(s["expect_silence"])
            while time.time() < end and not c.buf and not c.eof: c._recv(min(0.25, max(0.01, end - time.time())))
            if c.buf: st["got"] = show(c.buf); raise StepFail("the server spoke")
            if c.eof and s.get("or_close"): st.update(ok=True, got="<closed>"); return
            if c.eof: st["got"] = "<closed>"; raise StepFail("the server closed")
            st.update(ok=True, got="silent and open")
        elif k == "expect_close":
            need(); lim = self.secs(s["expect_close"])
            if not c.wait_eof(lim): raise StepFail("still open after %.1fs" % lim)
            st.update(ok=True, got="closed %.1fs after the last send%s; unread: %s" % (max(0, (c.closed_at or time.time()) - c.last_send), " (RST)" if c.rst else "", show(c.buf, 160)))
        elif k == "expect_open":
            need(); end = time.time() + self.secs(s["expect_open"])
            while time.time() < end and not c.eof: c._recv(min(0.5, max(0.01, end - time.time())))
            if c.eof: raise StepFail("closed by the server")
            st.update(ok=True, got="open")
        elif k == "wait_s":
            w = self.secs(s["wait_s"])
            if w > P["skip_wait_over"]: raise Skip("would wait %.0f s (profile.skip_wait_over)" % w)
            time.sleep(w); st.update(ok=True, got="%.1fs" % w)
        elif k == "close": need(); c.close(s["close"] if isinstance(s["close"], str) else "fin"); conns.pop(name); held.append(c); st.update(ok=True)
        elif k == "half_close":
            need()
            try: c.s.shutdown(socket.SHUT_WR); st.update(ok=True)
            except OSError as e: st.update(ok=True, got=str(e))
        elif k == "tls":
            need(); o = s["tls"] if isinstance(s["tls"], dict) else {}; want = o.get("expect", "ok")
            try: c.start_tls(o); res = "ok"
            except (OSError, ssl.SSLError, ValueError) as e: res = "fail"; st["got"] = str(e)[:200]; c.eof = True; c.closed_at = time.time()
            if want != "any" and res != want: raise StepFail("TLS handshake %s, wanted %s (%s)" % (res, want, st.get("got")))
            st.update(ok=True, got=st.get("got") or c.tls)
        elif k == "tx":
            o = dict(s["tx"]); o["from"] = self.fill(o.get("from", "{{from}}"), V); o["helo"] = self.fill(o.get("helo", "{{helo}}"), V)
            o["rcpts"] = [self.fill(x, V) for x in o.get("rcpts", ["{{rcpt}}"])]
            o["msg"] = unescape(self.fill(o.get("msg_head", ""), V)) + unescape(self.fill(o.get("msg", "Message-ID: <{{uniq}}@x>\r\nSubject: {{uniq}}\r\n\r\nhello\r\n"), V)) * int(o.get("msg_repeat", 1))
            if "mail_args" in o: o["mail_args"] = self.fill(o["mail_args"], V)
            fresh = c is None or c.eof or s.get("new", False)
            if c is None: need()
            r = run_tx(c, o, P, fresh=s.get("fresh", not c.replies))
            r["msg"] = o["msg"]; r["want"] = s.get("outcome"); r["rcpts"] = o["rcpts"]; tx.append(r); r["src"] = S["cur"]; r["from"] = o["from"]
            st["got"] = "%s at %s%s codes=%s rcpt=%s" % (r["outcome"], r["stage"], " tls" if r["tls"] else "", r["codes"], list(r["rcpt"].values())[:8])
            w = s.get("outcome")
            if w and r["outcome"] not in (w if isinstance(w, list) else [w]):
                if r["outcome"] in ("no-tls", "no-bdat", "no-smtputf8", "too-big"): st.update(ok=None); st["got"] += " (not offered)"; raise Skip("extension not offered: " + r["outcome"])
                raise StepFail("outcome %s, wanted %s" % (r["outcome"], w))
            if "stage_not" in s and r["stage"] in s["stage_not"]: raise StepFail("stage %s" % r["stage"])
            st["ok"] = True
        elif k == "retry":                      # reconnect and repeat a tx every `every` s until the outcome, at most `max` times
            o = s["retry"]; seq = []
            for i in range(int(o.get("max", 5))):
                if i or o.get("first_wait"): time.sleep(min(self.secs(o.get("first_wait", 0) if not i else o["every"]), P["skip_wait_over"]))
                src = self.pick((o.get("srcs") or ["@same"])[i % len(o.get("srcs") or ["@same"])], S["cur"])
                S.setdefault("srcs", []).append(src)
                cc = Conn(self.dest(d.get("listener"), src), src, P, t0); conns["retry%d" % i] = cc
                x = dict(s["retry"]["tx"]); x["from"] = self.fill(x.get("from", "{{from}}"), V); x["helo"] = self.fill(x.get("helo", "{{helo}}"), V)
                x["rcpts"] = [self.fill(y, V) for y in x.get("rcpts", ["{{rcpt}}"])]; x["msg"] = unescape(self.fill(x.get("msg", "Subject: {{uniq}}\r\n\r\nhello\r\n"), V))
                r = run_tx(cc, x, P); cc.close(); r["msg"] = x["msg"]; r["rcpts"] = x["rcpts"]; r["src"] = src; tx.append(r); seq.append(r["outcome"])
                if r["outcome"] == o.get("until", "accepted"): break
                if r["outcome"] == "rejected": break
            st["got"] = " -> ".join(seq)
            if seq[-1] != o.get("until", "accepted"): raise StepFail("never " + o.get("until", "accepted"))
            st["ok"] = True
        elif k == "flood": floods.append(self.flood(d, s["flood"], st, V, S)); st["ok"] = True
        elif k == "control":
            o = s["control"]; src = self.pick(o.get("src", "@unknown"), S["cur"]); b = time.time()
            lim = self.secs(o.get("within_s", "greet_wait+slack"))
            cc = Conn(self.dest(o.get("port")), src, P, t0); conns["control%d" % st["n"]] = cc; r = cc.reply(lim + P["reply_max"]); dt = time.time() - b
            st["got"] = "%s after %.2fs" % (r.code if r else "nothing", dt)
            if not r or r.code != "220" or dt > lim: raise StepFail("another client was not served in time: " + st["got"])
            cc.send(b"QUIT\r\n"); cc.reply(5); cc.close(); st["ok"] = True
        elif k == "env": st.update(got=(self.env(self.fill(s["env"], V)) or "")[:200], ok=True)
        elif k == "http":
            o = s["http"]; dst = self.dest(o.get("port", "metrics"))
            cc = Conn(dst, o.get("src") or dst[0], P, t0); cc.send(unescape(self.fill(o["raw"], V))); end = time.time() + 5
            while time.time() < end and not cc.eof: cc._recv(0.5)
            m = re.match(rb"HTTP/1\.[01] (\d{3})", bytes(cc.inbound)); code = m.group(1).decode() if m else "none"
            st["got"] = "HTTP %s, %d bytes" % (code, len(cc.inbound))
            if not re.fullmatch(o["expect"], code): raise StepFail("HTTP status %s, wanted %s" % (code, o["expect"]))
            if "body_not" in o and re.search(o["body_not"].encode("latin-1"), bytes(cc.inbound)): raise StepFail("body matches /%s/" % o["body_not"])
            cc.close(); st["ok"] = True
        else: raise StepFail("unknown step")
    def flood(self, d, o, st, V, S):
        n, data = int(o["n"]), unescape(self.fill(o.get("send", ""), V)) if o.get("send") else b""
        F = dict(socks=[], banner=0, e421=0, closed=0, refused=0, bytes_in=0, codes={}); sel = selectors.DefaultSelector(); dst = self.dest(o.get("port", d.get("listener")))
        t1 = time.time(); conc = int(o.get("concurrency", n)); info = {}
        per = float(o.get("pace", 0))
        for i in range(n):
            src = self.pick(o.get("src", "@same"), S["cur"])
            s = socket.socket(socket.AF_INET6 if ":" in dst[0] else socket.AF_INET, socket.SOCK_STREAM)
            try: s.setsockopt(socket.IPPROTO_IP, 24, 1)
            except OSError: pass
            try:
                s.bind((src, 0)); s.settimeout(5); s.connect(dst); s.setblocking(False)
                body = data.replace(b"%i", b"%d" % i)
                if body and o.get("send_at") != "banner":
                    try: s.send(body)
                    except OSError: pass
                if o.get("close") == "rst": s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close(); F["closed_by_us"] = F.get("closed_by_us", 0) + 1; continue
                if o.get("close") == "fin": s.close(); F["closed_by_us"] = F.get("closed_by_us", 0) + 1; continue
                sel.register(s, selectors.EVENT_READ); info[s] = [b"", body]; F["socks"].append(s)
            except OSError as e: F["refused"] += 1; s.close()
            if per: time.sleep(per)
        end = time.time() + self.secs(o.get("hold_s", 3))
        while time.time() < end:
            for key, _ in sel.select(min(0.2, max(0.01, end - time.time()))):
                s = key.fileobj
                try: b = s.recv(65536)
                except BlockingIOError: continue
                except OSError: b = b""
                if not b: F["closed"] += 1; sel.unregister(s); s.close(); continue
                F["bytes_in"] += len(b); x = info[s]; first = not x[0]; x[0] += b
                if first:
                    code = b[:3].decode("latin-1"); F["codes"][code] = F["codes"].get(code, 0) + 1
                    if b.startswith(b"220"): F["banner"] += 1
                    if b.startswith(b"421"): F["e421"] += 1
                    if o.get("send_at") == "banner" and x[1]:
                        try: s.send(x[1])
                        except OSError: pass
        sel.close()
        if not o.get("keep"):
            for s in F["socks"]: s.close()
        st["got"] = "%d connections in %.1fs: banner %d, 421 %d, closed by server %d, refused %d, first codes %s" % (n, time.time() - t1, F["banner"], F["e421"], F["closed"], F["refused"], F["codes"])
        F["n"] = n
        return F
    # ------------------------------------------------------------------ the properties
    def judge(self, d, out, conns, floods, tx, V, S, before, t0):
        P, a = self.P, self.a; srcs = set([S["cur"], out["src"]] + S.get("srcs", []))
        allr = [r for c in conns.values() for r in c.replies]
        bk = None; own = d.get("client", "unknown") in ("unknown", "unknown6", "passed")   # an address no other dialogue uses
        for m in d["must"]:
            ok, det = None, ""
            try:
                name, _, arg = m.partition(":")
                if name == "alive":
                    if a.pid and not os.path.exists("/proc/%d" % a.pid): ok, det = False, "process is gone"
                    else:
                        try:
                            c = Conn(self.dst, self.pick("@unknown"), P, t0); r = c.reply(P["greet_wait"] + P["reply_max"]); ok = r is not None and r.code in ("220", "421"); det = r.code if r else "no banner"
                            c.send(b"QUIT\r\n"); c.reply(3); c.close()
                        except StepFail as e: ok, det = False, str(e)
                elif name == "reply_grammar":
                    firsts = {id(c.replies[0]) for c in conns.values() if c.replies} if d["class"] in ("bot", "attack") else set()
                    bad = sorted({b for r in allr for b in r.bad if not (b.startswith("different codes") and id(r) in firsts)}); ok, det = not bad, "; ".join(bad)
                elif name == "never_5xx":
                    x = [r.code for r in allr if r.code[:1] == "5"] + [q["code"] for q in tx if q["code"] and q["code"][0] == "5"]; ok, det = not x, " ".join(x[:5])
                elif name == "never_accepted": x = [q["outcome"] for q in tx]; ok, det = "accepted" not in x, " ".join(map(str, x))
                elif name == "no_starttls_after_tls": ok = not any(q.get("starttls_again") for q in tx)
                elif name == "closed_within":
                    c = conns.get("A")
                    if c is None: ok, det = None, "closed by us"
                    else: ok = c.wait_eof(self.secs(arg)); det = "open" if not ok else "closed %.1fs after last send" % ((c.closed_at or time.time()) - c.last_send)
                elif name == "banner_within":
                    c = conns.get("A"); ok = c is not None and c.first_byte is not None and c.first_byte - c.t_conn <= self.secs(arg); det = "%.2fs" % ((c.first_byte or 0) - c.t_conn) if c else ""
                elif name == "time_within": ok = time.time() - t0 <= self.secs(arg); det = "%.1fs" % (time.time() - t0)
                elif name == "bytes_in_below":
                    x = sum(c.total_in for c in conns.values()); ok, det = x < int(arg), "%d bytes" % x
                elif name == "flood":                       # flood:banner>=N / flood:banner<=conn_limit / flood:served_or_421
                    F = floods[-1]
                    if arg == "served_or_421": ok = F["n"] == sum(F["codes"].get(k, 0) for k in ("220", "421", "450", "451", "554", "550")) + F.get("closed_by_us", 0) and not F["refused"]; det = str(F["codes"])
                    else:
                        q = re.fullmatch(r"(\w+)(<=|>=)(.+)", arg); v = F[q.group(1)] if q.group(1) in F else F["codes"].get(q.group(1), 0)
                        ok = v <= self.secs(q.group(3)) if q.group(2) == "<=" else v >= self.secs(q.group(3)); det = "%s=%d" % (q.group(1), v)
                elif name == "rss_growth":
                    if a.pid: time.sleep(0.5); g = rss(a.pid) - before["rss"]; ok, det = g < float(arg.strip("<").rstrip("MiB")), "%.1f MiB" % g
                elif name == "fds_restored":
                    if a.pid:
                        for c in list(conns.values()): c.close()
                        for f in floods:
                            for s in f["socks"]: s.close()
                        end = time.time() + self.secs(arg or 15)
                        while time.time() < end:
                            n = len(os.listdir("/proc/%d/fd" % a.pid))
                            if n <= before["fd"] + 6: break
                            time.sleep(0.3)
                        ok, det = n <= before["fd"] + 6, "%d -> %d" % (before["fd"], n)
                elif name in ("flag", "not_flag"):
                    f = P["flags"].get(arg)
                    if f and a.log and "log" in f:
                        time.sleep(self.secs(f.get("wait", 0.5))); txt = self.logtext(before)
                        hit = any(re.search(f["log"].replace("{src}", re.escape(x)), txt) for x in srcs if x); ok = hit == (name == "flag"); det = "in log" if hit else "not in log"
                elif name == "log_clean":
                    if a.log:
                        time.sleep(0.5); b = self.logbytes(before, [x for x in srcs if x] + [V["uniq"]]); x = re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]", b); ok = x is None; det = "raw byte %r in the log" % x.group() if x else ""
                elif name == "log_not":
                    if a.log: time.sleep(0.5); x = re.search(self.fill(arg, V), self.logtext(before), re.M); ok = x is None; det = x.group()[:80] if x else ""
                elif name == "log_has_src":
                    if a.log: time.sleep(0.5); t = self.logtext(before); ok = any(x and x in t for x in srcs)
                elif name == "metrics_growth":
                    if a.metrics: time.sleep(0.5); n = len(scrape(a.metrics)) - before["m"]; ok, det = n < int(arg.strip("<")), "%d new series" % n
                elif name == "metrics_not":
                    if a.metrics: x = [l for l in scrape(a.metrics) if re.search(self.fill(arg, V), l)]; ok, det = not x, (x or [""])[0][:120]
                elif name == "redis_growth":
                    if a.redis: n = redis_cmd(a.redis, "DBSIZE") - before["rk"]; ok, det = n < int(arg.strip("<")), "%d new keys" % n
                elif name == "redis_expiry":
                    if a.redis:
                        cur, bad = b"0", []
                        while True:
                            cur, ks = redis_cmd(a.redis, "SCAN", cur, "COUNT", "1000")
                            for key in ks:
                                if (V["uniq"].encode() in key or any(x and x.encode() in key for x in srcs)) and redis_cmd(a.redis, "PTTL", key) == -1: bad.append(key)
                            if cur == b"0": break
                        ok, det = not bad, "keys without expiry: %s" % bad[:3] if bad else ""
                elif name.startswith("backend"):
                    if a.backend:
                        if bk is None:
                            time.sleep(0.6); B = backend_state(a.backend); u = V["uniq"].encode()
                            new = [s for s in B["sessions"] if s["id"] > before["b"]]
                            bk = [s for s in new if u in base64.b64decode(s["raw_b64"]) or any(u.decode() in x[1] for x in s["commands"]) or (own and ((s["proxy"] or {}).get("src") in srcs or s["xclient"].get("ADDR", "").replace("IPV6:", "") in srcs))]
                            out["backend"] = [dict(id=s["id"], helo=s["helo"], cmds=[x[1][:80] for x in s["commands"]][:12], msgs=[(q["mail"], q["rcpts"], q["size"]) for q in s["messages"]], closed=s["closed_by"]) for s in bk][:4]
                        msgs = [q for s in bk for q in s["messages"]]
                        if name == "backend.sessions": ok, det = len(bk) == int(arg), "%d sessions" % len(bk)
                        elif name == "backend.messages": ok, det = len(msgs) == int(arg), "%d messages" % len(msgs)
                        elif name == "backend.messages_max": ok, det = len(msgs) <= int(arg), "%d messages" % len(msgs)
                        elif name == "backend.exact":
                            acc = [q for q in tx if q["outcome"] == "accepted"]; want = sorted(hashlib.sha256(q["msg"]).hexdigest() for q in acc); got = sorted(q["sha256"] for q in msgs)
                            ok, det = want == got, "sent %d accepted messages, backend has %d%s" % (len(want), len(got), "" if want == got else ", bytes differ")
                        elif name == "backend.rcpts":
                            acc = [q for q in tx if q["outcome"] == "accepted"]
                            want = sorted("<%s>" % x for q in acc for x, cde in q["rcpt"].items() if cde[:1] == "2"); got = sorted(x for q in msgs for x in q["rcpts"]); ok, det = want == got, "client was promised %s, backend got %s" % (want[:5], got[:5])
                        elif name == "backend.not":
                            rx = self.fill(arg, V).encode("latin-1"); x = [s for s in bk if re.search(rx, base64.b64decode(s["raw_b64"]))]; ok, det = not x, "pattern reached the backend" if x else ""
                        elif name == "backend.cmd_not":
                            x = [c for s in bk for c in s["commands"] if re.search(self.fill(arg, V), c[1])]; ok, det = not x, "executed: %r" % x[0][1][:60] if x else ""
                        elif name == "backend.src": w = S["cur"]; got = [(s["proxy"] or {}).get("src") or s["xclient"].get("ADDR") for s in bk]; ok, det = (bool(bk) and all(g == w for g in got)) if any(got) else None, str(got)
                        elif name == "backend.helo": ok, det = bool(bk) and all(s["helo"] == V["helo"] for s in bk), str([s["helo"] for s in bk])
                elif name == "report": ok, det = None, " ".join("%s@%s" % (q["outcome"], q["stage"]) for q in tx)
                else: det = "unknown property"
            except Exception as e: ok, det = None, "could not measure: %s: %s" % (type(e).__name__, e)
            out["must"].append(dict(prop=m, ok=ok, detail=det))
    def logbytes(self, before, tags=()):
        """what was logged since the dialogue began; with parallel jobs only the lines that carry this dialogue's addresses or token"""
        with open(self.a.log, "rb") as f: f.seek(before.get("log", 0)); b = f.read(4 << 20)
        if self.a.jobs <= 1 or not tags: return b
        return b"\n".join(l for l in b.split(b"\n") if any(t and t.encode() in l for t in tags)) + b"\n"
    def logtext(self, before): return self.logbytes(before).decode("utf-8", "replace")

KINDS = ("connect", "send", "expect", "drain", "expect_silence", "expect_close", "expect_open", "wait_s", "close", "half_close", "tls", "tx", "retry", "flood", "control", "env", "http")
PROPS = "alive reply_grammar never_5xx never_accepted no_starttls_after_tls closed_within banner_within time_within bytes_in_below flood rss_growth fds_restored flag not_flag log_clean log_not log_has_src metrics_growth metrics_not redis_growth redis_expiry backend.sessions backend.messages backend.messages_max backend.exact backend.rcpts backend.not backend.cmd_not backend.src backend.helo report".split()
def check(corpus):
    errs, ids = [], set()
    for d in corpus:
        i = d.get("id", "?")
        for k in ("id", "class", "why", "steps", "must"):
            if k not in d: errs.append("%s: no %s" % (i, k))
        if i in ids: errs.append("%s: duplicate id" % i)
        ids.add(i)
        if d.get("class") not in ("legit", "bot", "attack", "edge"): errs.append("%s: class" % i)
        for n, s in enumerate(d.get("steps", [])):
            ks = [k for k in s if k in KINDS]
            if len(ks) != 1: errs.append("%s step %d: kinds %s" % (i, n, ks))
            for k in ("expect", "when"):
                if k in s:
                    try: re.compile(s[k])
                    except re.error as e: errs.append("%s step %d: %s" % (i, n, e))
            for k in ("send",):
                if k in s:
                    try: s[k].encode("latin-1")
                    except UnicodeEncodeError: errs.append("%s step %d: send must be latin-1 (one char = one byte)" % (i, n))
            if "tx" in s and s["tx"].get("persona", "minimal") not in PERSONAS: errs.append("%s step %d: persona" % (i, n))
        for m in d.get("must", []):
            if m.partition(":")[0] not in PROPS: errs.append("%s: property %s" % (i, m))
    return errs

def main():
    p = argparse.ArgumentParser(); p.add_argument("target", nargs="?"); p.add_argument("--corpus", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus.jsonl"))
    p.add_argument("--profile"); p.add_argument("--id"); p.add_argument("--class", dest="cls"); p.add_argument("--client", help="only dialogues of this kind of client, e.g. trusted"); p.add_argument("--config", default="base"); p.add_argument("--src"); p.add_argument("--backend")
    p.add_argument("--pid", type=int); p.add_argument("--log"); p.add_argument("--metrics"); p.add_argument("--redis"); p.add_argument("--env-cmd"); p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--json"); p.add_argument("-v", action="store_true"); p.add_argument("--check", action="store_true"); p.add_argument("--seed", type=int, default=int(time.time()) % 80000); p.add_argument("--set", action="append", default=[])
    a = p.parse_args()
    corpus = [json.loads(l) for l in open(a.corpus, encoding="utf-8") if l.strip()]
    errs = check(corpus)
    if errs: print("\n".join(errs), file=sys.stderr); sys.exit(2)
    if a.check: print("%d dialogues, ok: %s" % (len(corpus), {c: sum(d["class"] == c for d in corpus) for c in ("legit", "bot", "attack", "edge")})); return
    if not a.target: p.error("HOST:PORT")
    P = dict(DEFAULTS)
    if a.profile: P.update(json.load(open(a.profile)))
    for kv in a.set: k, _, v = kv.partition("="); P[k] = json.loads(v) if re.match(r"[-\d\[{\"]|true|false", v) else v
    sel = [d for d in corpus if (not a.id or d["id"] in a.id.split(",")) and (not a.cls or d["class"] in a.cls.split(",")) and (not a.client or d.get("client", "unknown") in a.client.split(",")) and (a.id or d.get("config", "base") in a.config.split(",") or a.config == "all")]
    pl = Player(a, P, corpus); res = []; lock = threading.Lock()
    def one(d):
        r = pl.play(d)
        with lock:
            res.append(r)
            if a.v or r["verdict"] in ("fail", "error"):
                print("%-6s %-34s %5.1fs %s" % (r["verdict"].upper(), r["id"], r["seconds"], r.get("why", "")), file=sys.stderr)
                for st in r["steps"]:
                    if st["ok"] is False: print("        step %d %s: %s | got %s" % (st["n"], st["kind"], st.get("why"), st.get("got")), file=sys.stderr)
                for m in r["must"]:
                    if m["ok"] is False: print("        must %s: %s" % (m["prop"], m["detail"]), file=sys.stderr)
        return r
    par = [d for d in sel if not d.get("serial")]; ser = [d for d in sel if d.get("serial")]
    if a.jobs > 1:
        with cf.ThreadPoolExecutor(a.jobs) as ex: list(ex.map(one, par))
    else:
        for d in par: one(d)
    for d in ser: one(d)
    order = {d["id"]: i for i, d in enumerate(corpus)}; res.sort(key=lambda r: order[r["id"]])
    summ = {v: sum(r["verdict"] == v for r in res) for v in ("pass", "fail", "skip", "error")}
    un = sum(m["ok"] is None for r in res for m in r["must"]); summ["unchecked_properties"] = un
    doc = dict(target=a.target, when=time.strftime("%FT%TZ", time.gmtime()), summary=summ, results=res)
    js = json.dumps(doc, indent=1, default=lambda o: "<%d bytes>" % len(o) if isinstance(o, (bytes, bytearray)) else str(o))
    if a.json: open(a.json, "w").write(js)
    else: print(js)
    print(json.dumps(summ), file=sys.stderr)
    sys.exit(1 if summ["fail"] or summ["error"] else 0)
if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN); main()
