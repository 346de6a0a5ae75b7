import LibC
import CommandSupport
import NIOCore
import NIOHTTP1
import PlainHTTP
import Testing

@testable import Admin

@Suite struct AdminAccessTests {
    private static let token = AdminToken(bytes: Array("0123456789abcdef".utf8))

    private func access(_ place: String, token: AdminToken? = nil) throws -> AdminAccess {
        let place = try ListenPlace(admin: place)
        return try AdminAccess(place, addresses: try place.addresses(), token: token)
    }

    private func status(
        _ access: AdminAccess, host: [String] = ["localhost"], authorization: [String] = [], uri: String = "/metrics",
        version: HTTPVersion = .http1_1
    ) -> HTTPResponseStatus {
        var headers = HTTPHeaders()
        for host in host { headers.add(name: "Host", value: host) }
        for value in authorization { headers.add(name: "Authorization", value: value) }
        return access.refusal(of: HTTPRequestHead(version: version, method: .GET, uri: uri, headers: headers))?.status
            ?? .ok
    }

    @Test(arguments: [
        ("localhost", 200), ("localhost:9100", 200), ("LOCALHOST", 200), ("localhost.", 200), ("rtun.localhost", 200),
        ("127.0.0.1:9100", 200), ("127.9.9.9", 200), ("[::1]:9100", 200), ("[::ffff:127.0.0.1]", 200),
        ("evil.example", 421), ("evil.example:9100", 421), ("localhost.evil.example", 421), ("notlocalhost", 421),
        ("127.0.0.1.evil.example", 421), ("192.0.2.1", 421), ("0.0.0.0", 421), ("[2001:db8::1]:9100", 421),
        ("2130706433", 421), ("", 400), ("user@localhost", 400), ("localhost:", 200), ("localhost:x", 400),
        ("local host", 400), ("[::1", 400), ("[localhost]", 400), ("localhost/", 400), ("localhost,evil.example", 400),
        ("lo\u{0}calhost", 400),
    ])
    func `a page from elsewhere whose name leads to loopback gets no answer`(host: String, code: Int) throws {
        #expect(self.status(try self.access("127.0.0.1:9100"), host: [host]).code == UInt(code))
    }

    @Test func `the name that is listened on is answered`() throws {
        let access = try AdminAccess(
            ListenPlace(admin: "here.example:9100"),
            addresses: [try SocketAddress(ipAddress: "127.0.1.1", port: 9100)], token: nil)
        #expect(self.status(access, host: ["here.example:9100"]) == .ok)
        #expect(self.status(access, host: ["there.example"]) == .misdirectedRequest)
    }

    @Test func `one Host field is needed, and a path`() throws {
        let access = try self.access("127.0.0.1:9100")
        #expect(self.status(access, host: []) == .badRequest)
        #expect(self.status(access, host: ["localhost", "localhost"]) == .badRequest)
        #expect(self.status(access, host: [], version: .http1_0) == .ok)
        #expect(self.status(access, host: ["evil.example"], version: .http1_0) == .misdirectedRequest)
        for uri in ["http://localhost/metrics", "*", "", "metrics"] {
            #expect(self.status(access, uri: uri) == .badRequest)
        }
    }

    @Test(arguments: [
        ("Bearer 0123456789abcdef", true), ("bearer 0123456789abcdef", true), ("Bearer  0123456789abcdef", true),
        ("Bearer 0123456789abcdeg", false), ("Bearer 0123456789abcde", false), ("Bearer 0123456789abcdef0", false),
        ("Bearer ", false), ("0123456789abcdef", false), ("Digest 0123456789abcdef", false),
        // me:0123456789abcdef
        ("Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==", true), ("basic bWU6MDEyMzQ1Njc4OWFiY2RlZg", true),
        // :0123456789abcdef
        ("Basic OjAxMjM0NTY3ODlhYmNkZWY=", true),
        // 0123456789abcdef, without a user
        ("Basic MDEyMzQ1Njc4OWFiY2RlZg==", false),
        // me:wrong
        ("Basic bWU6d3Jvbmc=", false), ("Basic ====", false), ("Basic \u{e9}", false),
    ])
    func `the token is shown as a bearer's, or as anybody's password`(authorization: String, isWelcome: Bool) throws {
        let access = try self.access("0.0.0.0:9100", token: Self.token)
        // Under whatever name it is reached.
        #expect(
            self.status(access, host: ["rtun.internal"], authorization: [authorization])
                == (isWelcome ? .ok : .unauthorized))
    }

    @Test func `without the token there is nothing, also on loopback if one is given`() throws {
        for place in ["192.0.2.1:9100", "127.0.0.1:9100", "unix:/run/admin.sock"] {
            let access = try self.access(place, token: Self.token)
            #expect(self.status(access) == .unauthorized)
            let twice = ["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"]
            #expect(self.status(access, authorization: twice) == .unauthorized)
        }
    }

    @Test func `a browser is told how to ask its user`() throws {
        let access = try self.access("192.0.2.1:9100", token: Self.token)
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["Host": "192.0.2.1"])
        let schemes = access.refusal(of: head)?.headers["WWW-Authenticate"].map { $0.prefix { $0 != " " } }
        #expect(schemes == ["Bearer", "Basic"])
    }

    @Test func `a socket in the file system needs neither`() throws {
        #expect(self.status(try self.access("unix:/run/admin.sock"), host: ["anything"]) == .ok)
    }

    @Test(arguments: ["0.0.0.0:9100", "[::]:9100", "192.0.2.1:9100", "*:9100", ":9100", "[2001:db8::1]:9100"])
    func `what others can reach wants a token`(place: String) {
        #expect {
            _ = try self.access(place)
        } throws: { error in
            guard let error = error as? ProgramError else { return false }
            return error.status == .usage && error.message.contains("--admin-token-file")
        }
    }

    @Test(arguments: [
        ("127.0.0.1:9100", "127.0.0.1:9100"), ("9100", "127.0.0.1:9100"), ("[::1]:0", "[::1]:0"),
        ("unix:/run/rtun/admin.sock", "unix:/run/rtun/admin.sock"), ("unix:here.sock", "unix:here.sock"),
    ])
    func `a place is written like others`(text: String, description: String) throws {
        #expect(try ListenPlace(admin: text).description == description)
    }

    @Test(arguments: [
        "", "unix:", "127.0.0.1", "http://127.0.0.1:9100", "127.0.0.1:x", "unix:/" + String(repeating: "a", count: 200),
    ])
    func `what is no place is refused`(text: String) {
        #expect(throws: (any Error).self) { try ListenPlace(admin: text) }
    }
}

@Suite struct AdminTokenTests {
    private func load(_ contents: String) throws -> AdminToken? {
        let path = "/tmp/rtun-token-\(UInt64.random(in: 0 ... .max))"
        guard let file = fopen(path, "w") else { throw ProgramError(.internalError, "no file") }
        fputs(contents, file)
        fclose(file)
        defer { unlink(path) }
        return try AdminToken.load(path)
    }

    @Test func `white space around a token is none of it`() throws {
        let token = try #require(try self.load(" \n0123456789abcdef\r\n"))
        #expect(token.isShown(in: ["Authorization": "Bearer 0123456789abcdef"]))
        #expect("\(token)" == "(token)")
        #expect(Mirror(reflecting: token).children.isEmpty)
    }

    @Test(arguments: ["", "\n\n", "0123456789abcde\n", "0123456789 abcdef", "0123456789abcdef\u{e9}"])
    func `what could be guessed, or not be sent, is no token`(contents: String) {
        #expect {
            _ = try self.load(contents)
        } throws: { ($0 as? ProgramError)?.status == .usage }
    }

    @Test func `a file that is not there is told of`() {
        #expect {
            _ = try AdminToken.load("/nonexistent/token")
        } throws: { ($0 as? ProgramError)?.status == .unavailable }
    }
}

@Suite struct AdminRouteTests {
    @Test(arguments: [
        ("/", HTTPMethod.GET, 200), ("/", .HEAD, 200), ("/metrics", .GET, 200), ("/metrics?x=1", .GET, 200),
        ("/healthz", .GET, 200), ("/readyz", .HEAD, 200), ("/status.json", .GET, 200), ("/status.txt", .GET, 200),
        ("/metrics", .POST, 405), ("/", .PUT, 405), ("/status.json", .DELETE, 405), ("/healthz", .OPTIONS, 405),
        ("/", .CONNECT, 405), ("/metrics", .TRACE, 405),
        ("/metricsx", .GET, 404), ("/metrics/", .GET, 404), ("//", .GET, 404), ("/../metrics", .GET, 404),
        ("/%6detrics", .GET, 404), ("/pub/sessions", .GET, 404), ("/favicon.ico", .GET, 404), ("/x", .POST, 404),
    ])
    func `each path has its answer, and nothing is changed`(uri: String, method: HTTPMethod, code: Int) {
        let refusal = AdminRoute.refusal(of: HTTPRequestHead(version: .http1_1, method: method, uri: uri))
        #expect((refusal?.status.code ?? 200) == UInt(code))
        if code == 405 { #expect(refusal?.headers["Allow"] == ["GET, HEAD"]) }
    }
}
