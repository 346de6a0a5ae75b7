import Logging
import NIOCore
import NIOEmbedded
import PeerTestSupport
import Testing

@testable import rtun_socks

@Suite struct `the proxy's door` {
    private final class Made {
        var languages: [ClientDoor.Language] = []
        var remaining: [TimeAmount] = []
        let carrier = FakeCarrier()
    }

    private let made = Made()
    private let channel: EmbeddedChannel

    init() throws {
        let made = self.made
        self.channel = EmbeddedChannel(
            handler: ClientDoor(logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) {
                made.languages.append($0)
                made.remaining.append($1)
                return made.carrier
            })
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private var isOver: Bool {
        self.channel.embeddedEventLoop.run()
        return !self.channel.isActive
    }

    @Test(arguments: 0...255 as ClosedRange<UInt8>)
    func `the first byte tells what is spoken`(byte: UInt8) throws {
        try self.channel.writeInbound(ByteBuffer(bytes: [byte]))
        let isToken =
            "!#$%&'*+-.^_`|~".utf8.contains(byte) || byte < 0x80 && Character(Unicode.Scalar(byte)).isLetter
            || (0x30...0x39).contains(byte)
        #expect(self.made.languages == [isToken ? .http : .socks])
    }

    @Test func `the handler gets every byte, and the rest of the time`() throws {
        self.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        try self.channel.writeInbound(ByteBuffer())
        #expect(self.made.languages.isEmpty)
        try self.channel.writeInbound(ByteBuffer(string: "GE"))
        try self.channel.writeInbound(ByteBuffer(string: "T"))
        self.channel.embeddedEventLoop.run()
        try self.channel.writeInbound(ByteBuffer(string: " /"))
        #expect(self.made.carrier.received == "GET /")
        #expect(self.made.remaining == [.seconds(20)])
        #expect(throws: ChannelPipelineError.self) {
            try self.channel.pipeline.syncOperations.context(handlerType: ClientDoor.self)
        }
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(self.made.carrier.isInputClosed)
        self.channel.embeddedEventLoop.advanceTime(by: .seconds(30))
        #expect(!self.isOver)
    }

    @Test func `who says nothing is closed after thirty seconds, or with its end`() throws {
        self.channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(!self.isOver)
        self.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
    }

    @Test func `who closes without a word is closed`() throws {
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(self.isOver)
    }
}
