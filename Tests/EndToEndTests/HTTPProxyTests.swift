import Foundation
import TestSupport
import Testing

/// The proxy as an HTTP client sees it: curl, and bytes by hand.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct HTTPProxyTests {
    /// A server that says what it was asked on which connection, and knows chunks, 100 Continue and another protocol.
    private static let server = #"""
        import hashlib, http.server, socketserver, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *args): pass
            def answer(self, body, status=200):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD": self.wfile.write(body)
            def content(self):
                if self.headers.get("Transfer-Encoding"):
                    data = b""
                    while True:
                        size = int(self.rfile.readline().split(b";")[0], 16)
                        if not size: break
                        data += self.rfile.read(size)
                        self.rfile.readline()
                    while self.rfile.readline().strip(): pass
                    return data
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            def do_GET(self):
                if self.path == "/chunks":
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: z\r\n\r\n")
                elif self.path == "/close":
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"until close")
                    self.close_connection = True
                elif self.path == "/both":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                elif self.path == "/early-hints":
                    self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                    self.answer(b"hints")
                elif self.headers.get("Upgrade") == "echo":
                    self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst ")
                    while True:
                        data = self.request.recv(65536)
                        if not data: break
                        self.wfile.write(data)
                    self.close_connection = True
                else:
                    lines = [f"{self.command} {self.path} from {self.client_address[1]}", str(self.headers)]
                    self.answer("\n".join(lines).encode())
            do_HEAD = do_OPTIONS = do_GET
            def do_POST(self):
                if self.path == "/refuse":
                    self.close_connection = True
                    return self.answer(b"too large", 413)
                data = self.content()
                self.answer(f"{len(data)} {hashlib.sha256(data).hexdigest()} {self.headers.get('Expect')}".encode())
            do_PUT = do_POST
        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
        with Server(("127.0.0.1", 0), Handler) as server:
            print("port", server.server_address[1], flush=True)
            server.serve_forever()
        """#

    private struct Lab {
        let cluster: Cluster
        let agent: RunningProgram
        let socks: (program: RunningProgram, port: Int)
        let web: RunningProgram
        let webPort: Int

        var url: String { "http://127.0.0.1:\(self.webPort)" }
        var authority: String { "127.0.0.1:\(self.webPort)" }

        func curl(_ arguments: String, proxy: String? = nil) async throws -> String {
            try await ShellCommand.run(
                "cd '\(self.cluster.folder.path)' && curl -sS -x \(proxy ?? "http://127.0.0.1:\(self.socks.port)") \(arguments)"
            )
        }

        /// Sends bytes to the proxy, and returns all that comes until it closes.
        func say(_ text: String) async throws -> String {
            let port = self.socks.port
            return try await onThread {
                let socket = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
                try socket.send(text)
                return String(decoding: try socket.receiveToEnd(), as: UTF8.self)
            }
        }

        func stop() async {
            await stopAll([self.cluster.server, self.agent, self.socks.program, self.web])
        }
    }

    private static func lab(_ scheme: SignalScheme = .quic, options: [String] = []) async throws -> Lab {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks(options: options)
        let script = try cluster.folder.write("web.py", Self.server)
        let web = try RunningProgram("/usr/bin/python3", ["-u", script])
        let line = try await web.line("its port") { $0.hasPrefix("port ") }
        let port = try #require(Int(line.dropFirst(5)))
        return Lab(cluster: cluster, agent: agent.program, socks: socks, web: web, webPort: port)
    }

    @Test(arguments: SignalScheme.allCases)
    func `curl gets everything by requests and by tunnels`(scheme: SignalScheme) async throws {
        let lab = try await Self.lab(scheme)
        for option in ["", "-p", "-0"] {
            #expect(try await lab.curl("\(option) \(lab.url)/a?b").hasPrefix("GET /a?b from "))
            #expect(try await lab.curl("\(option) \(lab.url)/chunks") == "hello world")
            #expect(try await lab.curl("\(option) \(lab.url)/close") == "until close")
        }
        #expect(try await lab.curl("-I \(lab.url)/").hasPrefix("HTTP/1.1 200 OK"))
        #expect(try await lab.curl("\(lab.url)/early-hints").hasSuffix("hints"))
        // One connection of curl's, and one at the server's end.
        let twice = try await lab.curl("\(lab.url)/1 \(lab.url)/2")
        let ports = twice.split(separator: "\n").filter { $0.hasPrefix("GET") }.map { $0.split(separator: " ").last }
        #expect(ports.count == 2 && ports[0] == ports[1], "\(twice)")
        #expect(!twice.contains("Via") && !twice.contains("Forwarded") && !twice.contains("Proxy"))
        await lab.stop()
    }

    @Test(arguments: SignalScheme.allCases)
    func `content of any kind arrives`(scheme: SignalScheme) async throws {
        let lab = try await Self.lab(scheme)
        try await ShellCommand.run("head -c 5000000 /dev/urandom > '\(lab.cluster.folder.file("data"))'")
        let sum = try await ShellCommand.run("sha256sum < '\(lab.cluster.folder.file("data"))'").prefix(64)
        // curl waits for 100 Continue with so much of it.
        #expect(try await lab.curl("--data-binary @data \(lab.url)/x") == "5000000 \(sum) 100-continue")
        let chunked = try await lab.curl("-H 'Transfer-Encoding: chunked' -H Expect: -T data \(lab.url)/x")
        #expect(chunked == "5000000 \(sum) None")
        #expect(try await lab.curl("-0 --data-binary @data \(lab.url)/x").hasPrefix("5000000 \(sum) "))
        #expect(
            try await lab.curl("-H Expect: -o /dev/null -w '%{http_code}' --data-binary @data \(lab.url)/refuse")
                == "413")
        await lab.stop()
    }

    @Test func `another protocol goes through`() async throws {
        let lab = try await Self.lab()
        let (port, authority) = (lab.socks.port, lab.authority)
        let answer = try await onThread {
            let socket = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
            try socket.send(
                "GET http://\(authority)/ HTTP/1.1\r\nHost: \(authority)\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nsecond"
            )
            socket.shutdownSending()
            return String(decoding: try socket.receiveToEnd(), as: UTF8.self)
        }
        #expect(answer.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
        #expect(answer.hasSuffix("\r\n\r\nfirst second"))
        await lab.stop()
    }

    @Test func `what can be read in two ways is refused, and answers say why`() async throws {
        let lab = try await Self.lab()
        let (authority, closed) = (lab.authority, try TCPService.closedPort())
        let get = "GET http://\(authority)/ HTTP/1.1\r\nHost: \(authority)\r\n"
        let cases = [
            (
                "\(get)Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
                "both Content-Length and"
            ),
            ("\(get)Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400", "several lengths"),
            ("\(get)X: a\r\n b\r\n\r\n", "400", "folded"), ("\(get)X: a\rb\r\n\r\n", "400", "CR without LF"),
            ("\(get)Host: b\r\n\r\n", "400", "several Host fields"),
            ("GET http://\(authority)/ HTTP/1.1\r\nHost: b\r\n\r\n", "400", "names another place"),
            ("\(get)X: \(String(repeating: "x", count: 70000))\r\n\r\n", "431", "larger than 64 KiB"),
            ("\(get)Transfer-Encoding: chunked\r\n\r\nx\r\n", "400", "a chunk is malformed"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "400", "This port is a proxy"),
            ("GET http://\(authority)/both HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\r\n", "502", "both"),
            (
                "GET http://127.0.0.1:\(closed.port)/ HTTP/1.0\r\n\r\n", "502",
                "127.0.0.1:\(closed.port): the agent cannot connect: connection refused\n"
            ),
            ("CONNECT 169.254.169.254:80 HTTP/1.0\r\n\r\n", "403", "policy"),
        ]
        for (request, status, reason) in cases {
            let answer = try await lab.say(request)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(200))")
            #expect(answer.contains(reason), "\(answer)")
            #expect(answer.contains("\r\nContent-Type: text/plain"))
        }
        await lab.stop()
    }

    @Test func `pipelined requests are answered in their order, also to a client that has closed its sending side`()
        async throws
    {
        let lab = try await Self.lab()
        let (port, authority) = (lab.socks.port, lab.authority)
        let answer = try await onThread {
            let socket = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
            let requests = (1...3).map { "GET http://\(authority)/\($0) HTTP/1.1\r\nHost: \(authority)\r\n\r\n" }
            try socket.send(requests.joined())
            socket.shutdownSending()
            return String(decoding: try socket.receiveToEnd(), as: UTF8.self)
        }
        let lines = answer.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("GET /") }
        #expect(lines.map { $0.prefix(6) } == ["GET /1", "GET /2", "GET /3"])
        await lab.stop()
    }

    @Test func `a login is demanded, and a wrong one is told`() async throws {
        let lab = try await Self.lab(options: ["--auth", "alice:secret one", "--http-forwarded"])
        let proxy = "127.0.0.1:\(lab.socks.port)"
        func status(_ arguments: String) async throws -> String {
            try await lab.curl("-o /dev/null -w '%{http_code} %{http_connect}' \(arguments) \(lab.url)/", proxy: proxy)
        }
        #expect(try await status("") == "407 000")
        #expect(try await status("-U 'alice:secret one'") == "200 000")
        #expect(try await status("--proxy-anyauth -U 'alice:secret one'") == "200 000")
        #expect(try await status("-p -U 'alice:secret one'") == "200 200")
        #expect(try await status("-U 'alice:secret two'") == "407 000")
        _ = try await lab.socks.program.logLine("the failed login") {
            $0.contains("event=auth.failed client=127.0.0.1 method=http user=alice")
        }
        _ = try? await lab.curl("\(lab.url)/", proxy: "socks5h://bob:x@\(proxy)")
        _ = try await lab.socks.program.logLine("the failed login of SOCKS") {
            $0.contains("event=auth.failed client=127.0.0.1 method=socks5 user=bob")
        }
        let told = try await lab.curl("-U 'alice:secret one' \(lab.url)/", proxy: proxy)
        #expect(told.contains("Via: 1.1 rtun") && told.contains("X-Forwarded-For: 127.0.0.1"))
        await lab.stop()
    }

    @Test func `several sockets, one of them in the file system, share what they serve`() async throws {
        let folder = try TestFolder()
        let path = folder.file("proxy.sock")
        let lab = try await Self.lab(options: [
            "--listen", "unix:\(path)", "--listen", "[::1]:0", "--max-connections", "2",
        ])
        let ready = try await lab.socks.program.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let places = ready.split(separator: " ").dropFirst(2)
        #expect(places.count == 3 && places.dropFirst().first == "socks=unix:\(path)")
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        let inFile = "socks5h://localhost\(path)"
        #expect(try await lab.curl("\(lab.url)/x", proxy: inFile).hasPrefix("GET /x"))
        let page = try await ShellCommand.run("curl -sS --unix-socket '\(path)' http://proxy/")
        #expect(page.hasPrefix("This port is a proxy"))
        let third = try #require(places.last?.dropFirst("socks=".count))
        #expect(try await lab.curl("\(lab.url)/x", proxy: "http://\(third)").hasPrefix("GET /x"))

        let other = try lab.cluster.launchSocks(options: ["--listen", "unix:\(path)"])
        #expect(try await other.end() == .exit(69))
        #expect(other.errors.text.contains("another program listens there"))

        // Two silent clients hold the places until somebody else wants one.
        let silent = try (0..<2).map { _ in try BlockingSocket(connectingTo: "127.0.0.1", port: lab.socks.port) }
        #expect(try await lab.curl("\(lab.url)/x", proxy: inFile).hasPrefix("GET /x"))
        withExtendedLifetime(silent) {}

        lab.socks.program.signal(SIGTERM)
        #expect(try await lab.socks.program.end() == .exit(0))
        #expect(!FileManager.default.fileExists(atPath: path))
        await lab.stop()
    }
}
