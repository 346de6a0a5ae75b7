import Testing

@testable import Signaling

@Suite struct ServerURLTests {
    @Test(arguments: [
        ("https://example.org", ServerURL.Scheme.https, "example.org", 443, ""),
        ("https://example.org:8888", .https, "example.org", 8888, ""),
        ("HTTPS://example.org:8888/", .https, "example.org", 8888, ""),
        ("http://127.0.0.1:80/rtun/", .http, "127.0.0.1", 80, "/rtun"),
        ("http://localhost", .http, "localhost", 80, ""),
        ("https://a-b_c.example./x/y%20z//", .https, "a-b_c.example.", 443, "/x/y%20z"),
        ("quic://[2001:db8::1]:9", .quic, "2001:db8::1", 9, ""),
        ("quic://[::1]/", .quic, "::1", 443, ""),
        ("quic://h:65535", .quic, "h", 65535, ""),
    ])
    func `a server URL is split into its parts`(
        text: String, scheme: ServerURL.Scheme, host: String, port: UInt16, prefix: String
    ) throws {
        let url = try ServerURL(parsing: text)
        #expect(url == ServerURL(scheme: scheme, host: host, port: port, prefix: prefix))
        #expect(try ServerURL(parsing: "\(url)") == url)
    }

    @Test(arguments: [
        ("", ServerURLError.Part.scheme, "https://"),
        ("example.org:8888", .scheme, "https://example.org:8888"),
        ("https:/example.org", .scheme, "https://"),
        ("ftp://example.org", .scheme, "https, http or quic"),
        ("wss://example.org", .scheme, "https://"),
        ("https://", .host, "missing"),
        ("https://:8888", .host, "missing"),
        ("https:///path", .host, "missing"),
        ("https://user:pw@example.org", .host, "user names"),
        ("https://exa mple.org", .host, "not a host name"),
        ("https://bücher.example", .host, "punycode"),
        ("https://256.1.1.1", .host, "not an IPv4 address"),
        ("https://1.2.3", .host, "not an IPv4 address"),
        ("https://2001:db8::1", .host, "[2001:db8::1]"),
        ("https://[2001:db8::1", .host, "closing bracket"),
        ("https://[nonsense]:1", .host, "not an IPv6 address"),
        ("https://[fe80::1%eth0]:1", .host, "not an IPv6 address"),
        ("https://[::1]8888", .port, "[::1]:8888"),
        ("https://example.org:", .port, "missing"),
        ("https://example.org:0", .port, "1 to 65535"),
        ("https://example.org:65536", .port, "1 to 65535"),
        ("https://example.org:+80", .port, "1 to 65535"),
        ("https://example.org:80a", .port, "1 to 65535"),
        ("quic://example.org/path", .path, "no path"),
        ("https://example.org/?a=b", .path, "leave them out"),
        ("https://example.org#x", .path, "leave them out"),
        ("https://example.org/a b", .path, "percent-encoding"),
        ("https://example.org/a\r\nX: y", .path, "percent-encoding"),
    ])
    func `the error names the faulty part and what would be right`(
        text: String, part: ServerURLError.Part, hint: String
    ) {
        let error = #expect(throws: ServerURLError.self) { try ServerURL(parsing: text) }
        #expect(error?.part == part)
        #expect(error.map { "\($0)".contains(hint) } == true, "\(String(describing: error))")
    }

    @Test(arguments: ["https://me:pass@example.org", "me:pass@example.org", "https://me:pass/x@example.org"])
    func `the error does not show a password`(text: String) {
        let error = #expect(throws: ServerURLError.self) { try ServerURL(parsing: text) }
        #expect(error.map { "\($0)".contains("***@example.org") && !"\($0)".contains("pass") } == true)
    }

    @Test func `agents and clients have their own WebSocket paths below the prefix`() throws {
        let url = try ServerURL(parsing: "https://h/p/")
        #expect(url.webSocketPath(for: .agent) == "/p/pub/ws")
        #expect(url.webSocketPath(for: .client) == "/p/sub/ws")
    }

    @Test func `random text never traps`() {
        var generator = CountingGenerator(value: 1)
        let alphabet = Array("htpsquic:/[]@?#%.0189afé \u{0}\r\n-")
        for _ in 0..<5000 {
            let text = String(
                (0..<Int.random(in: 0..<24, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                })
            for text in [text, "https://" + text, "quic://[" + text] {
                _ = try? ServerURL(parsing: text)
            }
        }
    }
}
