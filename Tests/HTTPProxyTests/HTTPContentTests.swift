import NIOCore
import Testing

@testable import HTTPProxy

@Suite struct `HTTP content in chunks` {
    private enum Outcome: Equatable {
        case complete(String, trailer: [String], rest: String)
        case incomplete(String)
        case violation(HTTPViolation)
    }

    /// Reads it in pieces of a size.
    private static func read(_ text: String, size: Int) -> Outcome {
        var reader = HTTPContentReader(.chunked)
        var input = ByteBuffer(string: text)
        var buffer = ByteBuffer()
        var content = ""
        do throws(HTTPViolation) {
            while let piece = input.readSlice(length: min(size, input.readableBytes)), piece.readableBytes > 0 {
                buffer.writeImmutableBuffer(piece)
                while let piece = try reader.read(&buffer) {
                    switch piece {
                    case .data(let data): content += String(buffer: data)
                    case .end(let trailer):
                        buffer.writeBuffer(&input)
                        return .complete(
                            content, trailer: trailer.lines.map { String(decoding: $0.name, as: UTF8.self) },
                            rest: String(buffer: buffer))
                    }
                }
            }
        } catch {
            return .violation(error)
        }
        return .incomplete(content)
    }

    private static func expect(_ text: String, _ outcome: Outcome) {
        for size in 1...text.utf8.count { #expect(Self.read(text, size: size) == outcome, "pieces of \(size)") }
    }

    @Test(arguments: [
        ("0\r\n\r\n", "", [], ""),
        ("3\r\nabc\r\n0\r\n\r\nGET", "abc", [], "GET"),
        ("003\r\nabc\r\n2\r\nde\r\n000\r\n\r\n", "abcde", [], ""),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", [], ""),
        ("3;a=b;c=\"d;e\"\r\nabc\r\n0;x\r\n\r\n", "abc", [], ""),
        ("3 \t ; a = b\r\nabc\r\n0\r\n\r\n", "abc", [], ""),
        ("1\r\n\r\r\n0\r\nX: y\r\nZ: z\r\n\r\n", "\r", ["X", "Z"], ""),
    ])
    func `is read`(text: String, content: String, trailer: [String], rest: String) {
        Self.expect(text, .complete(content, trailer: trailer, rest: rest))
    }

    @Test(arguments: [
        "\r\n\r\n", "x\r\n", "0x3\r\nabc", "+3\r\n", "-1\r\n", " 3\r\nabc", "3 \r\nabc", "3\nabc", "3\rabc", "3;\n",
        "3;\0\r\n",
        "3;\u{7F}\r\n", "3 a\r\n", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc0\r\n\r\n", "3\r\nabc\r0", "g\r\n",
        "8000000000000000\r\n", "ffffffffffffffff\r\n", "10000000000000000\r\n", "00000000000000000\r\n",
    ])
    func `that can be read in two ways is refused`(text: String) {
        Self.expect(text, .violation(.malformedChunk))
    }

    @Test func `has short lines`() {
        let line = "3;" + String(repeating: "x", count: 4094)
        #expect(Self.read(line + "\r\nabc\r\n0\r\n\r\n", size: 10000) == .complete("abc", trailer: [], rest: ""))
        #expect(Self.read(line + "x\r\nabc\r\n0\r\n\r\n", size: 10000) == .violation(.malformedChunk))
        #expect(Self.read(line + "x", size: 10000) == .violation(.malformedChunk))
    }

    @Test(arguments: ["0\r\nX y\r\n\r\n", "0\r\n folded\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\n: y\r\n\r\n"])
    func `has a trailer as strict as a head`(text: String) {
        Self.expect(text, .violation(.malformedTrailer))
    }

    @Test func `is not over before its end`() {
        Self.expect("3\r\nabc\r\n0\r\n", .incomplete("abc"))
        Self.expect("5\r\nabc", .incomplete("abc"))
    }
}
