"""What image/check lets the program talk to: DNS, a Kubernetes API server and an AWS, as far as one
pass of the controller asks them. Each request is a line in the file `said`."""

import datetime, http.server, json, re, socketserver, ssl, struct, sys, threading
from urllib.parse import urlparse

work = sys.argv[1]
said = open(f"{work}/said", "a", buffering=1)
writing = threading.Lock()


def say(*words):
    with writing:
        print(*words, file=said)


class Names(socketserver.BaseRequestHandler):
    """Knows one name, and only by its A record."""

    def handle(self):
        packet, socket = self.request
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        name = ".".join(labels)
        kind = struct.unpack("!H", packet[at + 1 : at + 3])[0]
        question = packet[12 : at + 5]
        known = name == "kubernetes.default.svc"
        answer = b""
        if known and kind == 1:
            say("dns", name)
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + bytes([127, 0, 0, 1])
        flags = 0x8180 if known else 0x8183
        counts = struct.pack("!HHHH", 1, 1 if answer else 0, 0, 0)
        socket.sendto(packet[:2] + struct.pack("!H", flags) + counts + question + answer, self.client_address)


RELEASE = {
    "apiVersion": "bluegreen.dev/v1alpha1",
    "kind": "BlueGreenRelease",
    "metadata": {
        "name": "shop",
        "namespace": "games",
        "uid": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    },
    "spec": {
        "version": "1.0.0",
        "traffic": {"registration": {"targetGroups": [{"name": "shop"}]}},
        "fleet": {"existing": {"selector": {"tags": {"app": "shop"}}, "versionTag": "Version", "port": 8080}},
    },
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, kind, body):
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length") or 0))


class Kubernetes(Handler):
    def handle_any(self):
        body = self.body()
        url = urlparse(self.path)
        say("kubernetes", self.command, url.path)
        if self.headers.get("authorization") != "Bearer the-token":
            return self.answer(401, "application/json", b'{"kind":"Status","code":401}')
        if "watch=" in url.query:
            # A watch without news, that ends.
            threading.Event().wait(2)
            return self.answer(200, "application/json", b"")
        if self.command == "GET" and url.path.endswith("/bluegreenreleases"):
            found = {"kind": "BlueGreenReleaseList", "apiVersion": "bluegreen.dev/v1alpha1",
                     "metadata": {"resourceVersion": "1"}, "items": [RELEASE]}
        elif self.command == "GET":
            found = RELEASE
        elif self.command == "PUT":
            found = json.loads(body)
        elif self.command == "PATCH" and "bluegreenreleases" in url.path:
            found = RELEASE | {"metadata": RELEASE["metadata"] | {"finalizers": ["bluegreen.dev/release"]}}
        else:
            found = json.loads(body or b"{}")
        self.answer(200, "application/json", json.dumps(found).encode())

    do_GET = do_PUT = do_POST = do_PATCH = handle_any


class Aws(Handler):
    """Denies everything: that is an answer too."""

    def do_POST(self):
        action = re.search(rb"Action=(\w+)", self.body())
        say("aws", action.group(1).decode() if action else self.headers.get("x-amz-target"))
        body = b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        self.answer(403, "text/xml", body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, handler, name):
        super().__init__(("127.0.0.1", port), handler)
        self.name = name
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{work}/{name}.crt", f"{work}/{name}.key")

    def finish_request(self, request, address):
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError) as error:
            return say(self.name, "refused", error)
        super().finish_request(request, address)


class Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True


servers = [
    Datagrams(("127.0.0.1", 53), Names),
    Server(443, Kubernetes, "kubernetes"),
    Server(8443, Aws, "aws"),
    Server(8444, Aws, "stranger"),
]
threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
for thread in threads:
    thread.start()
open(f"{work}/ready", "w").close()
for thread in threads:
    thread.join()
