"""A mail server for tests: Debian's python3-aiosmtpd, told what to do by the recipient's address.

    mailbox.py PORT_FILE LOG_FILE [--certificate PEM --key PEM --tls starttls|tls] [--login USER:PASSWORD]

The part of an address before its first dot says what happens: `bounce` is refused at RCPT with 550,
`spam` after the message with 554, `later` is put off with 451 the first time, `hangup` loses the
connection at RCPT the first time, `limbo` is accepted the first time and the connection lost before the
answer. Everybody else is accepted. Each message that was taken is one line of JSON in the log, on disk
before its answer leaves.
"""

import argparse
import asyncio
import json
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Mailbox:
    def __init__(self, log, login):
        self.log = open(log, "ab", buffering=0)
        self.login = login
        self.seen = set()

    def note(self, what, envelope, answer):
        content = envelope.content or b""
        line = {"what": what, "to": envelope.rcpt_tos, "from": envelope.mail_from,
                "message": content.decode("utf-8", "replace"), "answer": answer}
        self.log.write(json.dumps(line).encode() + b"\n")
        os.fsync(self.log.fileno())

    def first(self, what, address):
        known = (what, address) in self.seen
        self.seen.add((what, address))
        return not known

    def authenticate(self, server, session, envelope, mechanism, data):
        given = (data.login.decode() + ":" + data.password.decode()) if data else ""
        return AuthResult(success=given == self.login)

    async def handle_RCPT(self, server, session, envelope, address, options):
        what = address.split(".")[0]
        if what == "bounce":
            return "550 5.1.1 no such mailbox: " + address
        if what == "later" and self.first(what, address):
            return "451 4.7.1 greylisted"
        if what == "hangup" and self.first(what, address):
            server.transport.abort()
            return "421 4.3.0 gone"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        what = address.split(".")[0]
        if what == "spam":
            self.note("refused", envelope, "554")
            return "554 5.7.1 not this: " + address
        if what == "limbo" and self.first(what, address):
            self.note("accepted", envelope, "lost")
            server.transport.abort()
            return "250 2.0.0 never seen"
        self.note("accepted", envelope, "250")
        return "250 2.0.0 taken"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port_file")
    parser.add_argument("log_file")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--tls", choices=["starttls", "tls"])
    parser.add_argument("--login", default="")
    arguments = parser.parse_args()
    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)
    mailbox = Mailbox(arguments.log_file, arguments.login)
    implicit = context if arguments.tls == "tls" else None
    starttls = context if arguments.tls == "starttls" else None

    def protocol():
        more = {}
        if arguments.login:
            more = {"authenticator": mailbox.authenticate, "auth_required": True,
                    "auth_require_tls": implicit is None}
        return SMTP(mailbox, tls_context=starttls, require_starttls=starttls is not None,
                    hostname="mail.example", ident="test", **more)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    port = server.sockets[0].getsockname()[1]
    with open(arguments.port_file + ".new", "w") as file:
        file.write(str(port))
    os.rename(arguments.port_file + ".new", arguments.port_file)
    await server.serve_forever()


asyncio.run(main())
