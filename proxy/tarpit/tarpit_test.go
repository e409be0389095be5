package tarpit

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// talker answers each line that ends in "\n" with what reply returns.
type talker struct {
	greeting Say
	reply    func(line string) Say
	early    int
	left     chan Left
}

func (t *talker) Greet() Say { return t.greeting }
func (t *talker) Early()     { t.early++ }
func (t *talker) Hear(in []byte) (int, Say) {
	i := bytes.IndexByte(in, '\n')
	if i < 0 {
		return 0, Say{}
	}
	return i + 1, t.reply(string(in[:i]))
}
func (t *talker) Lapse(why Why) Say {
	return Say{Text: []byte(map[Why]string{Lapsed: "lapsed\n", LetGo: "let go\n"}[why])}
}
func (t *talker) Left(l Left) { t.left <- l }

var standard = Options{Slots: 2, Gap: time.Second, Timeout: time.Minute, Linger: time.Second}

// hold plays one conversation in virtual time: peer has the other end.
func hold(t *testing.T, o Options, tk *talker, peer func(c net.Conn, p *Pit, h *Held)) Left {
	var l Left
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		tk.left = make(chan Left, 1)
		p := New(o)
		if !p.Reserve() {
			t.Fatal("no slot in an empty pit")
		}
		h := p.Hold(ours, tk)
		peer(theirs, p, h)
		l = <-tk.left
		theirs.Close()
		if p.Taken() != 0 {
			t.Errorf("%d slots still taken", p.Taken())
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// arrivals reads n bytes and returns when each came, in whole gaps since the start.
func arrivals(t *testing.T, c net.Conn, n int) (at []time.Duration) {
	t.Helper()
	began := time.Now()
	b := make([]byte, 1)
	for range n {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		at = append(at, time.Since(began))
	}
	return at
}

func TestStutterPacing(t *testing.T) {
	tests := []struct {
		name string
		slow time.Duration
		want []time.Duration // of the 6 bytes, in seconds
	}{
		{"whole", Whole, []time.Duration{0, 1, 2, 3, 4, 5}},
		{"at first", 3 * time.Second, []time.Duration{0, 1, 2, 3, 3, 3}},
		{"not at all", 0, []time.Duration{0, 0, 0, 0, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tk := &talker{greeting: Say{Text: []byte("hello\n"), Slow: tt.slow}}
			l := hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
				for i, at := range arrivals(t, c, 6) {
					if at != tt.want[i]*time.Second {
						t.Errorf("byte %d came after %v, want %v s", i, at, tt.want[i])
					}
				}
				c.Close()
			})
			if l.Why != Gone || l.Out != 6 || tk.early != 0 {
				t.Errorf("left %+v, early %d", l, tk.early)
			}
		})
	}
}

func TestEarlyTalkerIsHeardAndAnswered(t *testing.T) {
	tk := &talker{greeting: Say{Text: []byte("hello\n"), Slow: Whole}}
	tk.reply = func(line string) Say { return Say{Text: []byte("re " + line + "\n"), Then: Close} }
	l := hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
		go c.Write([]byte("now\n"))
		if all, _ := io.ReadAll(c); string(all) != "hello\nre now\n" {
			t.Errorf("heard %q", all)
		}
	})
	if tk.early != 1 || l.Why != Done {
		t.Errorf("early %d, left %+v", tk.early, l)
	}
}

func TestHangUpInStutterIsNoticedAtOnce(t *testing.T) {
	tk := &talker{greeting: Say{Text: bytes.Repeat([]byte("x"), 1000), Slow: Whole}}
	l := hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
		arrivals(t, c, 3)
		time.Sleep(500 * time.Millisecond) // virtual
		c.Close()
	})
	if l.Why != Gone || l.Held != 2500*time.Millisecond {
		t.Errorf("left %+v, want it gone after 2.5 s", l)
	}
}

func TestDeadlineIsForTheWordNotForTheByte(t *testing.T) {
	tk := &talker{greeting: Say{Text: []byte("hi\n")}}
	l := hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
		arrivals(t, c, 3)
		var drip sync.WaitGroup
		drip.Go(func() {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(10 * time.Second) // virtual
			}
		})
		if all, _ := io.ReadAll(c); string(all) != "lapsed\n" {
			t.Errorf("heard %q", all)
		}
		drip.Wait() // its last byte may have come just before the minute was over
	})
	if l.Why != Lapsed || l.Held != time.Minute {
		t.Errorf("left %+v, want it lapsed after a minute", l)
	}
}

func TestPeerThatDoesNotReadIsLeft(t *testing.T) {
	tk := &talker{greeting: Say{Text: []byte("hi\n")}}
	l := hold(t, standard, tk, func(net.Conn, *Pit, *Held) {})
	if l.Why != Gone || l.Held != time.Minute {
		t.Errorf("left %+v, want it gone after a minute", l)
	}
}

func TestPartGivesTheRestBack(t *testing.T) {
	tk := &talker{greeting: Say{Text: []byte("hi\n")}}
	tk.reply = func(line string) Say { return Say{Text: []byte("ok\n"), Then: Part} }
	l := hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
		arrivals(t, c, 3)
		go c.Write([]byte("one\ntwo\nthr"))
		arrivals(t, c, 3)
	})
	if l.Why != Parted || l.Conn == nil || string(l.Rest) != "two\nthr" {
		t.Errorf("left %+v with %q", l, l.Rest)
	}
}

func TestPipelinedWordsAreAnsweredInOrder(t *testing.T) {
	tk := &talker{greeting: Say{Text: []byte("hi\n")}}
	tk.reply = func(line string) Say { return Say{Text: []byte(line + "!")} }
	hold(t, standard, tk, func(c net.Conn, _ *Pit, _ *Held) {
		arrivals(t, c, 3)
		go c.Write([]byte("a\nb\nc\n"))
		got := make([]byte, 6)
		io.ReadFull(c, got)
		if string(got) != "a!b!c!" {
			t.Errorf("heard %q", got)
		}
		c.Close()
	})
}

func TestHurryEndsTheStutter(t *testing.T) {
	tk := &talker{greeting: Say{Text: bytes.Repeat([]byte("x"), 100), Slow: Whole}}
	hold(t, standard, tk, func(c net.Conn, _ *Pit, h *Held) {
		arrivals(t, c, 3)
		time.Sleep(300 * time.Millisecond) // virtual
		go h.Hurry()
		if at := arrivals(t, c, 97); at[96] != 0 {
			t.Errorf("the rest took %v", at[96])
		}
		c.Close()
	})
}

func TestCloseLetsGo(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		say        Say
	}{
		{"while stuttering", "", Say{Text: bytes.Repeat([]byte("x"), 100), Slow: Whole}},
		{"while listening", "let go\n", Say{Text: []byte("hi\n")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := hold(t, standard, &talker{greeting: tt.say}, func(c net.Conn, p *Pit, _ *Held) {
				arrivals(t, c, 3)
				time.Sleep(300 * time.Millisecond) // virtual
				go p.Close(context.Background())
				if all, _ := io.ReadAll(c); string(all) != tt.want {
					t.Errorf("heard %q, want %q", all, tt.want)
				}
				if p.Reserve() {
					t.Error("a closed pit gave a slot")
				}
			})
			if l.Why != LetGo {
				t.Errorf("left %+v", l)
			}
		})
	}
}

// Who has a slot when the pit closes and comes to it afterwards has left when Hold
// returns: nobody else would wait for it.
func TestHoldAfterCloseLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(standard)
		p.Reserve()
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		tk := &talker{greeting: Say{Text: []byte("hi\n")}, left: make(chan Left, 1)}
		p.Hold(ours, tk)
		if len(tk.left) == 0 || p.Taken() != 0 {
			t.Fatalf("it is still held, and %d slots are taken", p.Taken())
		}
		if l := <-tk.left; l.Why != LetGo {
			t.Errorf("left %+v", l)
		}
	})
}

func TestSlotsBound(t *testing.T) {
	p := New(standard)
	if !p.Reserve() || !p.Reserve() || p.Reserve() {
		t.Error("want two slots and no more")
	}
	p.Release()
	if !p.Reserve() {
		t.Error("a slot that was released is not to be had")
	}
}

// BenchmarkHold is what holding one connection costs, from the banner to its end.
func BenchmarkHold(b *testing.B) {
	p := New(Options{Slots: 1 << 30, Gap: time.Second, Timeout: time.Minute})
	tk := &talker{greeting: Say{Text: []byte("220 mx.test ESMTP\r\n")}, left: make(chan Left, 1)}
	b.ReportAllocs()
	buf := make([]byte, 64)
	for b.Loop() {
		ours, theirs := net.Pipe()
		p.Reserve()
		p.Hold(ours, tk)
		theirs.Read(buf)
		theirs.Close()
		<-tk.left
	}
}

// TestLastWordIsReadBehindJunk: closing a socket with bytes unread would take the
// last word back with a reset.
func TestLastWordIsReadBehindJunk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tk := &talker{greeting: Say{Text: []byte("hi\n")}, left: make(chan Left, 1)}
	tk.reply = func(string) Say { return Say{Text: []byte("bye\n"), Then: Close} }
	p := New(Options{Slots: 1, Gap: time.Second, Timeout: time.Minute, Linger: time.Minute})
	go func() {
		if conn, err := l.Accept(); err == nil && p.Reserve() {
			p.Hold(conn, tk)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Write(append([]byte("quit\n"), bytes.Repeat([]byte("z"), 100<<10)...))
	c.(*net.TCPConn).CloseWrite()
	if all, err := io.ReadAll(c); string(all) != "hi\nbye\n" || err != nil {
		t.Errorf("heard %q, %v", all, err)
	}
	c.Close()
	<-tk.left
}
