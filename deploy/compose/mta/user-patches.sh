#!/bin/bash
# docker-mailserver runs this each time it starts, before Postfix starts.
set -eu

# Ports for moggyd, where Postfix reads the PROXY header. They are no second door: only network yard leads to them.
# Port 12525 is a plain smtpd, because moggyd has done the work of postscreen. Port 10587 is what port 587 is.
postconf -M '12525/inet=12525 inet n - n - - smtpd'
postconf -P 12525/inet/syslog_name=postfix/moggy 12525/inet/smtpd_upstream_proxy_protocol=haproxy
postconf -M "10587/inet=$(postconf -M submission/inet | sed 's/^submission/10587/')"
postconf -P 10587/inet/smtpd_upstream_proxy_protocol=haproxy

# The log is read by moggyd, which is in group adm (4) and no other.
touch /var/log/mail/mail.log
chgrp adm /var/log/mail/mail.log
chmod g+r /var/log/mail/mail.log
chmod o+x /var/log/mail
