import Basics
import Foundation
import NIOCore
import TestSupport
import SOCKS
import Testing

/// A whole handshake on paper: what the client sends, what it must get back, and where it ends.
struct Dialogue: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var users: [String: String] = [:]
    /// Hex, all that the client sends, in order. What follows the request is early data.
    var sends: String
    /// Hex, all that comes back before the target is dialled or the connection closes.
    var gets: String
    var end: End

    enum End: Equatable, Sendable {
        case connect(String, early: String)
        case associate(port: UInt16?)
        case refused(SOCKSViolation)
        case incomplete
    }

    init(
        _ description: String, users: [String: String] = [:], sends: String, gets: String, end: End
    ) {
        self.testDescription = description
        self.users = users
        self.sends = sends
        self.gets = gets
        self.end = end
    }

    var credentials: SOCKSCredentials {
        var credentials = SOCKSCredentials()
        for (user, password) in self.users {
            _ = credentials.add(user: user, password: password)
        }
        return credentials
    }

    /// Feeds the client's bytes in pieces that end at `cuts`, the way a handler does.
    func play(cuts: [Int]) -> (gets: ByteBuffer, end: End) {
        var machine = SOCKSServerStateMachine(credentials: self.credentials)
        var arriving = ByteBuffer(bytes: hexBytes(self.sends))
        var buffer = ByteBuffer()
        var gets = ByteBuffer()
        var target: Target?
        var position = 0
        for cut in cuts + [arriving.readableBytes] {
            if let piece = arriving.readSlice(length: cut - position) { buffer.writeImmutableBuffer(piece) }
            position = cut
            steps: while target == nil {
                switch machine.receive(&buffer) {
                case .needMoreBytes: break steps
                case .send(let reply): gets.writeImmutableBuffer(reply)
                case .connect(let place): target = place
                case .associate(let port): return (gets, .associate(port: port))
                case .refuse(let reply, let violation):
                    if let reply { gets.writeImmutableBuffer(reply) }
                    return (gets, .refused(violation))
                }
            }
        }
        guard let target else { return (gets, .incomplete) }
        return (gets, .connect("\(target)", early: hex(buffer)))
    }
}

func hex(_ buffer: ByteBuffer) -> String {
    buffer.readableBytesView.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

private func text(_ string: String) -> String { hex(ByteBuffer(string: string)) }

private let longest = String(repeating: "a", count: 255)

private let dialogues: [Dialogue] = [
    // SOCKS 5 (RFC 1928)
    Dialogue(
        "5, IPv4", sends: "050100 05010001 7f000001 0050", gets: "0500",
        end: .connect("127.0.0.1:80", early: "")),
    Dialogue(
        "5, IPv6, early data", sends: "050100 05010004 20010db8000000000000000000000001 01bb 160301", gets: "0500",
        end: .connect("[2001:db8::1]:443", early: "160301")),
    Dialogue(
        "5, name, early data", sends: "050100 05010003 0b\(text("example.com")) 0050 474554", gets: "0500",
        end: .connect("example.com:80", early: "474554")),
    Dialogue(
        "5, name of 255 bytes", sends: "050100 05010003 ff\(text(longest)) ffff", gets: "0500",
        end: .connect("\(longest):65535", early: "")),
    Dialogue(
        "5, name in UTF-8", sends: "050100 05010003 0a\(text("bücher.de")) 0050", gets: "0500",
        end: .connect("bücher.de:80", early: "")),
    Dialogue(
        "5, name that is an IPv4 address", sends: "050100 05010003 09\(text("127.0.0.1")) 0050", gets: "0500",
        end: .connect("127.0.0.1:80", early: "")),
    Dialogue(
        "5, name that is an IPv6 address", sends: "050100 05010003 03\(text("::1")) 0050", gets: "0500",
        end: .connect("[::1]:80", early: "")),
    Dialogue(
        "5, name that is an IPv6 address in brackets", sends: "050100 05010003 05\(text("[::1]")) 0050", gets: "0500",
        end: .connect("[::1]:80", early: "")),
    Dialogue(
        "5, several methods", sends: "0503000102 05010001 7f000001 0050", gets: "0500",
        end: .connect("127.0.0.1:80", early: "")),
    Dialogue(
        "5, a reserved byte that isn't 0 is tolerated", sends: "050100 0501ff01 7f000001 0050", gets: "0500",
        end: .connect("127.0.0.1:80", early: "")),
    Dialogue("5, no methods", sends: "0500", gets: "05ff", end: .refused(.noAcceptableMethod)),
    Dialogue("5, only GSSAPI", sends: "050101", gets: "05ff", end: .refused(.noAcceptableMethod)),
    Dialogue("5, only a password, and none is set", sends: "050102", gets: "05ff", end: .refused(.noAcceptableMethod)),
    Dialogue(
        "5, BIND", sends: "050100 05020001 7f000001 0050", gets: "0500 0507000100000000 0000",
        end: .refused(.unsupportedCommand(2))),
    Dialogue(
        "5, UDP ASSOCIATE from any port", sends: "050100 05030001 00000000 0000", gets: "0500",
        end: .associate(port: nil)),
    Dialogue(
        "5, UDP ASSOCIATE from a port", sends: "050100 05030001 7f000001 1234", gets: "0500",
        end: .associate(port: 0x1234)),
    Dialogue(
        "5, UDP ASSOCIATE from an IPv6 address", sends: "050100 05030004 00000000000000000000000000000000 0000",
        gets: "0500", end: .associate(port: nil)),
    Dialogue(
        "5, UDP ASSOCIATE from a name, as of PySocks", sends: "050100 05030003 01\(text("0")) 1234", gets: "0500",
        end: .associate(port: 0x1234)),
    Dialogue(
        "5, UDP ASSOCIATE from a name that is none", sends: "050100 05030003 00 0000", gets: "0500",
        end: .associate(port: nil)),
    Dialogue(
        "5, UDP ASSOCIATE after a login", users: ["u": "p"],
        sends: "050102 01017501\(text("p")) 05030001 00000000 0000",
        gets: "0502 0100", end: .associate(port: nil)),
    Dialogue(
        "5, UDP ASSOCIATE with an unknown address type", sends: "050100 05030002", gets: "0500 0508000100000000 0000",
        end: .refused(.unsupportedAddressType(2))),
    Dialogue(
        "4, no UDP ASSOCIATE", sends: "04030050 7f000001 00", gets: "005b 0000 00000000",
        end: .refused(.unsupportedCommand(3))),
    Dialogue(
        "5, unknown command and address type", sends: "050100 05090009", gets: "0500 0507000100000000 0000",
        end: .refused(.unsupportedCommand(9))),
    Dialogue(
        "5, unknown address type", sends: "050100 05010002", gets: "0500 0508000100000000 0000",
        end: .refused(.unsupportedAddressType(2))),
    Dialogue(
        "5, port 0", sends: "050100 05010001 7f000001 0000", gets: "0500 0501000100000000 0000",
        end: .refused(.invalidTarget)),
    Dialogue(
        "5, empty name", sends: "050100 05010003 00 0050", gets: "0500 0501000100000000 0000",
        end: .refused(.invalidTarget)),
    Dialogue(
        "5, NUL in the name", sends: "050100 05010003 03610062 0050", gets: "0500 0501000100000000 0000",
        end: .refused(.invalidTarget)),
    Dialogue(
        "5, line break in the name", sends: "050100 05010003 03610a62 0050", gets: "0500 0501000100000000 0000",
        end: .refused(.invalidTarget)),
    Dialogue(
        "5, name that isn't UTF-8", sends: "050100 05010003 02c328 0050", gets: "0500 0501000100000000 0000",
        end: .refused(.invalidTarget)),
    Dialogue("5, request of another version", sends: "050100 04", gets: "0500", end: .refused(.malformed(.request))),
    Dialogue("5, cut short", sends: "050100 05010001 7f0000", gets: "0500", end: .incomplete),

    // User and password (RFC 1929)
    Dialogue(
        "5, right password", users: ["bob": "pw", "eve": "pw2"],
        sends: "050102 0103\(text("eve"))03\(text("pw2")) 05010001 7f000001 0050 aa", gets: "0502 0100",
        end: .connect("127.0.0.1:80", early: "aa")),
    Dialogue(
        "5, the password of another user", users: ["bob": "pw", "eve": "pw2"],
        sends: "050102 0103\(text("bob"))03\(text("pw2")) 05010001 7f000001 0050", gets: "0502 0101",
        end: .refused(.wrongPassword(user: "bob"))),
    Dialogue(
        "5, a longer password", users: ["bob": "pw"], sends: "050102 0103\(text("bob"))03\(text("pw2"))",
        gets: "0502 0101", end: .refused(.wrongPassword(user: "bob"))),
    Dialogue(
        "5, the start of the password", users: ["bob": "pw"], sends: "050102 0103\(text("bob"))01\(text("p"))",
        gets: "0502 0101", end: .refused(.wrongPassword(user: "bob"))),
    Dialogue(
        "5, empty user and password", users: ["bob": "pw"], sends: "050102 01 00 00", gets: "0502 0101",
        end: .refused(.wrongPassword(user: ""))),
    Dialogue(
        "5, no password offered where one is needed", users: ["bob": "pw"], sends: "050100", gets: "05ff",
        end: .refused(.noAcceptableMethod)),
    Dialogue(
        "5, password request of another version", users: ["bob": "pw"], sends: "050102 05", gets: "0502",
        end: .refused(.malformed(.passwordRequest))),

    // SOCKS 4 and 4a
    Dialogue(
        "4", sends: "04010050 7f000001 00", gets: "", end: .connect("127.0.0.1:80", early: "")),
    Dialogue(
        "4, user id and early data", sends: "04010050 7f000001 \(text("bob"))00 4745", gets: "",
        end: .connect("127.0.0.1:80", early: "4745")),
    Dialogue(
        "4a, name, user id and early data", sends: "040101bb 00000001 \(text("bob"))00 \(text("example.com"))00 16",
        gets: "", end: .connect("example.com:443", early: "16")),
    Dialogue(
        "4a, name and user id of 255 bytes", sends: "04010050 000000ff \(text(longest))00 \(text(longest))00", gets: "",
        end: .connect("\(longest):80", early: "")),
    Dialogue(
        "4, 0.0.0.0 is an address, not the mark of 4a", sends: "04010050 00000000 00 16", gets: "",
        end: .connect("0.0.0.0:80", early: "16")),
    Dialogue(
        "4, BIND", sends: "04020050 7f000001 00", gets: "005b 0000 00000000",
        end: .refused(.unsupportedCommand(2))),
    Dialogue(
        "4, port 0", sends: "04010000 7f000001 00", gets: "005b 0000 00000000", end: .refused(.invalidTarget)),
    Dialogue(
        "4a, empty name", sends: "04010050 00000001 00 00", gets: "005b 0000 00000000",
        end: .refused(.invalidTarget)),
    Dialogue(
        "4, endless user id", sends: "04010050 7f000001 \(text(longest))61", gets: "005b 0000 00000000",
        end: .refused(.malformed(.socks4Request))),
    Dialogue(
        "4a, endless name", sends: "04010050 00000001 00 \(text(longest))61", gets: "005b 0000 00000000",
        end: .refused(.malformed(.socks4Request))),
    Dialogue(
        "4, where a password is needed", users: ["bob": "pw"], sends: "04010050 7f000001 \(text("bob"))00",
        gets: "005b 0000 00000000", end: .refused(.noAcceptableMethod)),
    Dialogue("4, cut short", sends: "04010050 7f000001", gets: "", end: .incomplete),

    // Something else
    Dialogue("nothing", sends: "", gets: "", end: .incomplete),
    Dialogue(
        "a word that is too long", sends: text("ABCDEFGHIJKLMNOPQ "), gets: "", end: .refused(.unknownVersion(0x41))),
    Dialogue("letters, and no space", sends: text("GET/ HTTP/1.1"), gets: "", end: .refused(.unknownVersion(0x47))),
    Dialogue("TLS", sends: "16030100", gets: "", end: .refused(.unknownVersion(0x16))),
]

@Suite struct `SOCKS server state machine` {
    @Test(arguments: dialogues)
    func `answers as the RFCs say, however the bytes are split`(dialogue: Dialogue) {
        let length = hexBytes(dialogue.sends).count
        var splits: [[Int]] = [[], Array(0..<length)]
        splits += (0...length).map { [$0] }
        for split in splits {
            let played = dialogue.play(cuts: split)
            #expect(played.end == dialogue.end, "cut at \(split)")
            let gets = hex(ByteBuffer(bytes: hexBytes(dialogue.gets)))
            #expect(hex(played.gets) == gets, "cut at \(split)")
        }
    }

    static let outcomes: [(SOCKSOutcome, String, String)] = [
        (.connected(bound: nil), "05000001 00000000 0000", "005a 0000 00000000"),
        (.refused, "05050001 00000000 0000", "005b 0000 00000000"),
        (.hostUnreachable, "05040001 00000000 0000", "005b 0000 00000000"),
        (.networkUnreachable, "05030001 00000000 0000", "005b 0000 00000000"),
        (.nameNotFound, "05040001 00000000 0000", "005b 0000 00000000"),
        (.timedOut, "05060001 00000000 0000", "005b 0000 00000000"),
        (.policy, "05020001 00000000 0000", "005b 0000 00000000"),
        (.failed, "05010001 00000000 0000", "005b 0000 00000000"),
        (.unsupported, "05070001 00000000 0000", "005b 0000 00000000"),
    ]

    @Test(arguments: outcomes)
    func `tells the outcome in both versions`(outcome: SOCKSOutcome, socks5: String, socks4: String) {
        #expect(Self.reply(to: "050100 05010001 7f000001 0050", outcome) == hexBytes(socks5))
        #expect(Self.reply(to: "04010050 7f000001 00", outcome) == hexBytes(socks4))
    }

    @Test func `tells the bound address`() throws {
        let v4 = SOCKSOutcome.connected(bound: try SocketAddress(ipAddress: "192.0.2.7", port: 4660))
        let v6 = SOCKSOutcome.connected(bound: try SocketAddress(ipAddress: "2001:db8::7", port: 4660))
        #expect(Self.reply(to: "050100 05010001 7f000001 0050", v4) == hexBytes("05000001 c0000207 1234"))
        #expect(
            Self.reply(to: "050100 05010001 7f000001 0050", v6)
                == hexBytes("05000004 20010db8000000000000000000000007 1234"))
        #expect(Self.reply(to: "050100 05030001 00000000 0000", v4) == hexBytes("05000001 c0000207 1234"))
        #expect(Self.reply(to: "04010050 7f000001 00", v4) == hexBytes("005a 1234 c0000207"))
        #expect(Self.reply(to: "04010050 7f000001 00", v6) == hexBytes("005a 1234 00000000"))
    }

    private static func reply(to request: String, _ outcome: SOCKSOutcome) -> [UInt8] {
        var machine = SOCKSServerStateMachine()
        var buffer = ByteBuffer(bytes: hexBytes(request))
        while true {
            switch machine.receive(&buffer) {
            case .send: continue
            case .connect, .associate: return Array(buffer: machine.complete(outcome))
            case .needMoreBytes, .refuse:
                Issue.record("the request was not understood")
                return []
            }
        }
    }

    @Test func `bytes after the request are left alone while the target is dialled`() {
        var machine = SOCKSServerStateMachine()
        var buffer = ByteBuffer(bytes: hexBytes("04010050 7f000001 00 aabb"))
        guard case .connect = machine.receive(&buffer) else {
            Issue.record("the request was not understood")
            return
        }
        buffer.writeInteger(0xCC as UInt8)
        #expect(machine.receive(&buffer) == .needMoreBytes)
        _ = machine.complete(.connected(bound: nil))
        #expect(machine.receive(&buffer) == .needMoreBytes)
        #expect(hex(buffer) == "aabbcc")
    }

    @Test func `random bytes are decided within the largest message`() {
        var random = SystemRandomNumberGenerator()
        for round in 0..<2_000 {
            var credentials = SOCKSCredentials()
            if round.isMultiple(of: 2) { _ = credentials.add(user: "u", password: "p") }
            var machine = SOCKSServerStateMachine(credentials: credentials)
            var buffer = ByteBuffer()
            // A plausible start leads the dice past the first checks.
            let starts: [[UInt8]] = [
                [], [4, 1], [4], [5, 1, 0], [5, 1, 2], [5, 1, 2, 1, 1, 0x75, 1, 0x70], [5, 1, 0, 5, 1],
            ]
            buffer.writeBytes(starts[Int.random(in: 0..<starts.count, using: &random)])
            buffer.writeBytes((0..<600).map { _ in UInt8.random(in: 0...255, using: &random) })
            var steps = 0
            decide: while true {
                steps += 1
                let before = buffer.readableBytes
                switch machine.receive(&buffer) {
                case .send: #expect(buffer.readableBytes < before)
                case .connect(let target):
                    #expect(target.port != 0 && !target.hostText.isEmpty)
                    break decide
                case .associate, .refuse: break decide
                case .needMoreBytes:
                    #expect(before <= 521, "undecided with \(before) bytes at hand")
                    break decide
                }
            }
            #expect(steps <= 3)
        }
    }
}

@Suite struct `SOCKS credentials` {
    @Test func `refuse what RFC 1929 cannot carry`() {
        let long = String(repeating: "x", count: 256)
        for (user, password) in [("", "x"), ("x", ""), (long, "x"), ("x", long)] {
            var credentials = SOCKSCredentials()
            let added = credentials.add(user: user, password: password)
            #expect(!added)
            #expect(!credentials.isRequired)
        }
        var credentials = SOCKSCredentials()
        let added = credentials.add(user: "u", password: String(repeating: "p", count: 255))
        #expect(added)
        #expect(credentials.isRequired)
    }

    @Test func `accept the users that were added, and no others`() {
        var credentials = SOCKSCredentials()
        #expect(!credentials.accept(user: [], password: []))
        _ = credentials.add(user: "bob", password: "s3cret")
        #expect(credentials.accept(user: Array("bob".utf8), password: Array("s3cret".utf8)))
        #expect(!credentials.accept(user: Array("bob".utf8), password: Array("s3creT".utf8)))
        #expect(!credentials.accept(user: Array("bo".utf8), password: Array("s3cret".utf8)))
        #expect(!credentials.accept(user: Array("bob".utf8), password: []))
    }

}
