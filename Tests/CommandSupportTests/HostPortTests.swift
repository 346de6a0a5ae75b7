import Testing

@testable import CommandSupport

@Suite struct HostPortTests {
    @Test(
        arguments: [
            ("127.0.0.1:2080", "127.0.0.1", 2080),
            ("[::1]:0", "::1", 0),
            ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
            ("stun.example.org", "stun.example.org", 3478),
            ("[2001:db8::1]", "2001:db8::1", 3478),
        ] as [(String, String, UInt16)])
    func `a host and a port are read`(text: String, host: String, port: UInt16) throws {
        let value = try HostPort(parsing: text, defaultPort: 3478)
        #expect(value == HostPort(host: host, port: port))
        #expect(try HostPort(parsing: value.description) == value)
    }

    @Test(arguments: [
        ("", HostPortError.missingHost("")),
        (":80", .missingHost(":80")),
        ("host", .missingPort("host")),
        ("host:", .invalidPort("host:")),
        ("host:65536", .invalidPort("host:65536")),
        ("host:-1", .invalidPort("host:-1")),
        ("host:+1", .invalidPort("host:+1")),
        ("::1:80", .unbracketedIPv6("::1:80")),
        ("[::1:80", .missingBracket("[::1:80")),
        ("[::1]80", .invalidPort("[::1]80")),
        ("[10.0.0.1]:80", .bracketsWithoutIPv6("[10.0.0.1]:80")),
        ("a b:80", .invalidHost("a b:80")),
        ("8888", .oldIPv4("8888", "0.0.34.184")),
        ("1.2.3:80", .oldIPv4("1.2.3:80", "1.2.0.3")),
        ("010.0.0.1:80", .oldIPv4("010.0.0.1:80", "8.0.0.1")),
        ("0x7f.1:80", .oldIPv4("0x7f.1:80", "127.0.0.1")),
    ])
    func `anything but a host and a port is refused`(text: String, error: HostPortError) {
        #expect(throws: error) { try HostPort(parsing: text) }
    }
}
