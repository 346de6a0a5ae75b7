import AppProto
import TLS
import Testing

@testable import Signaling

@Suite struct ServerLinkTests {
    private static let pinText = String(repeating: "A", count: 42) + "E"
    private static let pin = PublicKeyPin(bytes: [UInt8](repeating: 0, count: 31) + [1])

    @Test(arguments: [
        ServerLink(host: "rtun.example.com", port: 8888, pin: Self.pin, role: .agent, secret: Array("s3cret-_.~".utf8)),
        ServerLink(host: "2001:db8::1", port: 1, transports: [.quic], secret: [0, 0x20, 0x23, 0x26, 0x27, 0xFF]),
        ServerLink(
            host: "192.0.2.1", port: 65535, transports: [.https], name: "rtun.example.com", role: .client, secret: [1]),
        ServerLink(
            host: "h", port: 443, transports: [.https, .quic], pin: Self.pin, name: "2001:db8::2", secret: [0x25]),
    ])
    func `what is written is read as the same`(link: ServerLink) throws {
        #expect(try ServerLink(parsing: link.text) == link)
        #expect(link.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "'") })
    }

    @Test func `a link is written in one way`() throws {
        let link = ServerLink(
            host: "rtun.example.com", port: 8888, pin: Self.pin, role: .agent, secret: Array("a b".utf8))
        #expect(
            link.text
                == "rtun://rtun.example.com:8888/?transports=quic,https&pin=\(Self.pinText)&role=agent&length=3#a%20b")
        #expect("\(link)" == "rtun://rtun.example.com:8888")
        #expect(link.endpoints.map { "\($0)" } == ["quic://rtun.example.com:8888", "https://rtun.example.com:8888"])
        var dumped = ""
        dump(link, to: &dumped)
        #expect(!dumped.contains("97"))
    }

    @Test(arguments: [
        ("rtun://h:8888#s", ServerLink(host: "h", port: 8888, secret: Array("s".utf8))),
        ("RTUN://h/?#s", ServerLink(host: "h", port: 443, secret: Array("s".utf8))),
        (" 'rtun://h:1/#s'\n", ServerLink(host: "h", port: 1, secret: Array("s".utf8))),
        ("\u{201C}rtun://h:1/#s\u{201D}", ServerLink(host: "h", port: 1, secret: Array("s".utf8))),
        (
            "rtun://h:1?transports=https,sctp,https#s",
            ServerLink(host: "h", port: 1, transports: [.https], secret: Array("s".utf8))
        ),
        ("rtun://h:1/?later=%41&x#s#t", ServerLink(host: "h", port: 1, secret: Array("s#t".utf8))),
        (
            "rtun://h:1/?name=a%2eexample#%C3%a9",
            ServerLink(host: "h", port: 1, name: "a.example", secret: [0xC3, 0xA9])
        ),
        ("rtun://h:1/?pin=\(Self.pinText)=#s", ServerLink(host: "h", port: 1, pin: Self.pin, secret: Array("s".utf8))),
    ])
    func `what people and versions to come write is read`(text: String, link: ServerLink) throws {
        #expect(try ServerLink(parsing: text) == link)
    }

    @Test(arguments: [
        ("", ServerLinkError.noLink), ("rtun:", .noLink), ("rtun-agent 'rtun://h:1/#s'", .noLink),
        ("https://h:1/#s", .noLink),
        ("rtun://h:1/?pin=x #s", .interrupted), ("rtun://h:1/#se\ncret", .interrupted),
        ("rtun://h:1/\u{7F}#s", .interrupted),
        // What a shell leaves of a link without quotation marks.
        ("rtun://h:1/?transports=quic,https", .noSecret), ("rtun://h:1", .noSecret), ("rtun://h:1/#", .noSecret),
        ("rtun://h:1/?length=43#abc", .cut(byteCount: 3, of: 43)),
        ("rtun://h:1/?length=2#abc", .cut(byteCount: 3, of: 2)),
        ("rtun://h:1/#a%2", .secretEncoding), ("rtun://h:1/#%zz", .secretEncoding),
        ("rtun://h:1/path?x=1#s", .place("a link has no path; write rtun://host:port/?…")),
        ("rtun://:1/#s", .place("host: missing; write the server's name or address, as in example.org:8888")),
        ("rtun://h:0/#s", .place("port: not a port; write a number of 1 to 65535")),
        ("rtun://h:1/?pin=AAA#s", .part("pin", "not the 43 letters of a key's hash; copy all of the link")),
        ("rtun://h:1/?role=server#s", .part("role", "neither agent nor client; copy all of the link")),
        ("rtun://h:1/?length=0#s", .part("length", "not a number of bytes; copy all of the link")),
        ("rtun://h:1/?length=x#s", .part("length", "not a number of bytes; copy all of the link")),
        ("rtun://h:1/?transports=#s", .part("transports", "none that this version has; it has quic and https")),
        ("rtun://h:1/?transports=http#s", .part("transports", "none that this version has; it has quic and https")),
        ("rtun://h:1/?name=a%20b#s", .part("name", "not the name of a host")),
        ("rtun://h:1/?name=a/b#s", .part("name", "not the name of a host")),
        ("rtun://h:1/?pin=x&pin=y#s", .part("pin", "given twice; are these two links?")),
        ("rtun://h:1/?x=%4#s", .part("x", "each % needs two hex digits; copy all of the link")),
    ])
    func `what is wrong is said`(text: String, error: ServerLinkError) {
        #expect(throws: error) { try ServerLink(parsing: text) }
    }

    @Test func `no error shows the secret`() {
        for text in [
            "rtun://h:1/?length=1#topsecret", "rtun://h:1/?pin=x#topsecret", "rtun://h h/#topsecret",
            "rtun://h:1/#topsecret%",
        ] {
            let error = #expect(throws: ServerLinkError.self) { try ServerLink(parsing: text) }
            #expect(error.map { "\($0)".contains("topsecret") } == false)
        }
    }

    @Test func `what is longer than any link is not looked at`() {
        let text = "rtun://h:1/#" + String(repeating: "s", count: 9000)
        #expect(throws: ServerLinkError.tooLong(limit: 8192)) { try ServerLink(parsing: text) }
    }
}
