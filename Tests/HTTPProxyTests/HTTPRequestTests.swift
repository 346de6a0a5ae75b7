import NIOCore
import Testing

@testable import HTTPProxy

@Suite struct `HTTP requests` {
    /// What reading a head brings: a violation, or the target.
    private static func outcome(_ head: String) -> String {
        do throws(HTTPViolation) {
            var buffer = ByteBuffer(string: head)
            var reader = HTTPHeadReader()
            guard let lines = try reader.read(&buffer) else { return "incomplete" }
            switch try HTTPRequest(lines).form {
            case .connect(let target): return "tunnel \(target)"
            case .absolute(let origin):
                return "\(origin.target) \(String(decoding: origin.requestTarget, as: UTF8.self))"
            case .notForProxy: return "not for a proxy"
            }
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "tunnel a:443"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: A\r\n\r\n", "tunnel a:443"),
        ("CONNECT a:22 HTTP/1.0\r\n\r\n", "tunnel a:22"),
        ("CONNECT a:22 HTTP/1.1\r\n\r\n", "tunnel a:22"),
        ("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:DB8::1]:443\r\n\r\n", "tunnel [2001:db8::1]:443"),
        ("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /b?c"),
        ("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /"),
        ("GET http://a?c HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /?c"),
        ("GET http://a/b@c:d HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /b@c:d"),
        ("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /"),
        ("GET http://a/ HTTP/1.1\r\nHost: A:80\r\n\r\n", "a:80 /"),
        ("GET http://a:8080/ HTTP/1.1\r\nHost: a:8080\r\n\r\n", "a:8080 /"),
        ("GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "[::1]:8080 /"),
        ("GET http://a/ HTTP/1.0\r\n\r\n", "a:80 /"),
        ("GET http://a/ HTTP/1.2\r\nHost: a\r\n\r\n", "a:80 /"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 *"),
        ("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /"),
        ("BREW http://a/\u{E4} HTTP/1.1\r\nHost: a\r\n\r\n", "a:80 /\u{E4}"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not for a proxy"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "not for a proxy"),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n", "incomplete"),
    ])
    func `are read`(head: String, outcome: String) {
        #expect(Self.outcome(head) == outcome)
    }

    @Test(arguments: [
        // Lines.
        ("GET http://a/ HTTP/1.1\nHost: a\r\n\r\n", HTTPViolation.bareLineFeed),
        ("GET http://a/ HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
        ("GET http://a/ HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", .bareCarriageReturn),
        ("GET http://a/ HTTP/1.1\r\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        ("GET http://a/ HTTP/1.1\r\nHost: a\0\r\n\r\n", .controlCharacter),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n", .controlCharacter),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\u{7F}\r\n\r\n", .controlCharacter),
        // The request line.
        ("GET http://a/\r\n\r\n", .malformedRequestLine),
        ("GET  http://a/ HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("GET http://a/ HTTP/1.1 \r\n\r\n", .malformedRequestLine),
        ("GET\thttp://a/\tHTTP/1.1\r\n\r\n", .malformedRequestLine),
        (" GET http://a/ HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("GE(T http://a/ HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("GET http://a/ http/1.1\r\n\r\n", .malformedRequestLine),
        ("GET http://a/ HTTP/1.10\r\n\r\n", .malformedRequestLine),
        ("GET http://a/ HTTP/11\r\n\r\n", .malformedRequestLine),
        ("GET http://a/ HTTP/2.0\r\n\r\n", .unsupportedVersion),
        ("PRI * HTTP/2.0\r\n\r\n", .unsupportedVersion),
        // Fields.
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .foldedLine),
        ("GET http://a/ HTTP/1.1\r\n\tHost: a\r\n\r\n", .foldedLine),
        ("GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n", .blankBeforeColon),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\n", .blankBeforeColon),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", .malformedField),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", .malformedField),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", .malformedField),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\u{C4}: z\r\n\r\n", .malformedField),
        // Where to.
        ("GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .severalHosts),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", .severalHosts),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", .conflictingHost),
        ("GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", .conflictingHost),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", .conflictingHost),
        ("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", .conflictingHost),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n\r\n", .conflictingHost),
        ("GET http://a/ HTTP/1.1\r\nHost: a, b\r\n\r\n", .invalidHost),
        ("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", .invalidHost),
        ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", .userInformation),
        ("CONNECT u@a:443 HTTP/1.1\r\nHost: a\r\n\r\n", .userInformation),
        ("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a:443x HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a:+443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT a:000443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("CONNECT ::1:443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("CONNECT [::1 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("CONNECT [a]:443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("CONNECT [127.0.0.1]:443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("CONNECT [fe80::1%25eth0]:443 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("CONNECT http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidPort),
        ("GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET http://a%2eb/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET http://a/#b HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .unsupportedScheme),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .unsupportedScheme),
        // How long.
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .severalLengths),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .severalLengths),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", .severalLengths),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", .invalidLength),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", .invalidLength),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", .invalidLength),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", .invalidLength),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", .invalidLength),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", .invalidLength),
        (
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .lengthAndCoding
        ),
        ("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .codingInOldVersion),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", .unclearCoding),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", .unclearCoding),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", .unclearCoding),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n", .unclearCoding),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", .unclearCoding),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", .unclearCoding),
        (
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            .unclearCoding
        ),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedCoding),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", .contentInConnect),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", .contentInConnect),
    ])
    func `that can be read in two ways are refused`(head: String, violation: HTTPViolation) {
        #expect(Self.outcome(head) == "\(violation)")
    }

    @Test func `have at most 64 KiB of head`() {
        func head(_ size: Int) -> String {
            let frame = "GET http://a/ HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
            return frame.replacing("X: ", with: "X: " + String(repeating: "x", count: size - frame.utf8.count))
        }
        #expect(Self.outcome(head(65536)) == "a:80 /")
        #expect(Self.outcome(head(65537)) == "\(HTTPViolation.headTooLarge)")
        #expect(Self.outcome(String(repeating: "x", count: 65536)) == "\(HTTPViolation.headTooLarge)")
        let many = String(repeating: "a: b\r\n", count: 1000)
        #expect(Self.outcome("GET http://a/ HTTP/1.1\r\nHost: a\r\n\(many)\r\n") == "\(HTTPViolation.tooManyFields)")
    }

    @Test func `mean the same in whatever pieces they come`() throws {
        let head = "POST http://a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        var whole = Conversation()
        let expected = whole.client(head) + whole.connected()
        for size in 1..<head.utf8.count {
            var pieces = Conversation()
            var rest = ByteBuffer(string: head)
            var steps: [Conversation.Step] = []
            while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
                pieces.machine.received(piece)
                steps += pieces.take()
                if case .connect = steps.last { steps += pieces.connected() }
            }
            #expect(steps.first == expected.first, "\(size)")
            #expect(steps.targetText == expected.targetText, "\(size)")
        }
    }
}
