import NIOCore
import NIOWebSocket
import Testing

@testable import Signaling

@Suite struct WebSocketMessageAssemblerTests {
    private func frame(
        _ opcode: WebSocketOpcode, _ text: String, fin: Bool = true, mask: WebSocketMaskingKey? = nil
    ) -> WebSocketFrame {
        var data = ByteBuffer(string: text)
        if let mask { data.webSocketMask(mask) }
        return WebSocketFrame(fin: fin, opcode: opcode, maskKey: mask, data: data)
    }

    @Test func `fragments become one message, with control frames between them`() {
        var assembler = WebSocketMessageAssembler(expectsMask: false)
        #expect(assembler.receive(self.frame(.binary, "he", fin: false)) == .nothing)
        #expect(assembler.receive(self.frame(.ping, "x")) == .ping(ByteBuffer(string: "x")))
        #expect(assembler.receive(self.frame(.continuation, "l", fin: false)) == .nothing)
        #expect(assembler.receive(self.frame(.pong, "")) == .nothing)
        #expect(assembler.receive(self.frame(.continuation, "lo")) == .message(ByteBuffer(string: "hello")))
    }

    @Test func `a client's frames are unmasked, and refused without a mask`() {
        var assembler = WebSocketMessageAssembler(expectsMask: true)
        let mask: WebSocketMaskingKey = [1, 2, 3, 4]
        #expect(assembler.receive(self.frame(.binary, "hello", mask: mask)) == .message(ByteBuffer(string: "hello")))
        #expect(assembler.receive(self.frame(.binary, "hello")).violation == .protocolError)
    }

    @Test func `a breach of the protocol has its status code`() {
        var unmasked = WebSocketMessageAssembler(expectsMask: false)
        #expect(unmasked.receive(self.frame(.binary, "x", mask: .random())).violation == .protocolError)
        #expect(unmasked.receive(self.frame(.text, "x")).violation == .unacceptableData)
        #expect(unmasked.receive(self.frame(.continuation, "x")).violation == .protocolError)
        var reserved = self.frame(.binary, "x")
        reserved.rsv1 = true
        #expect(unmasked.receive(reserved).violation == .protocolError)
        #expect(unmasked.receive(self.frame(.binary, "x", fin: false)) == .nothing)
        #expect(unmasked.receive(self.frame(.binary, "x")).violation == .protocolError)
    }

    @Test func `the status code of a close frame is read`() {
        var assembler = WebSocketMessageAssembler(expectsMask: false)
        var data = ByteBuffer()
        data.write(webSocketErrorCode: .goingAway)
        #expect(
            assembler.receive(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)) == .close(.goingAway))
        #expect(assembler.receive(self.frame(.connectionClose, "")) == .close(nil))
    }

    @Test func `fragments may not add up to more than a message`() {
        var assembler = WebSocketMessageAssembler(expectsMask: false)
        let half = ByteBuffer(repeating: 0, count: SignalLinkLimits.maximumMessageSize / 2)
        #expect(assembler.receive(WebSocketFrame(fin: false, opcode: .binary, data: half)) == .nothing)
        #expect(assembler.receive(WebSocketFrame(fin: false, opcode: .continuation, data: half)) == .nothing)
        let rest = assembler.receive(self.frame(.continuation, "x"))
        #expect(rest.violation == .messageTooLarge)
    }

    @Test(.timeLimit(.minutes(1))) func `a message of one-byte fragments takes no longer than its bytes`() {
        var assembler = WebSocketMessageAssembler(expectsMask: false)
        _ = assembler.receive(self.frame(.binary, "x", fin: false))
        let count = 100_000
        for _ in 2..<count {
            _ = assembler.receive(self.frame(.continuation, "x", fin: false))
        }
        guard case .message(let message) = assembler.receive(self.frame(.continuation, "x")) else {
            Issue.record("no message")
            return
        }
        #expect(message.readableBytes == count)
    }
}

extension WebSocketMessageAssembler.Output {
    fileprivate var violation: WebSocketErrorCode? {
        if case .violation(let code, _) = self { code } else { nil }
    }
}
