import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import NameResolution

/// A name server on loopback for the zone `test`; what it knows of a name is in the name.
///
/// `v4.…` has the A record 192.0.2.1, `v6.…` the AAAA record 2001:db8::1, `both.…` either; `late6.…` has an A record and is silent about AAAA, `late4.…`
/// the other way round; `silent.…` gets no answer; `failing.…` gets SERVFAIL; what is not known does not exist.
final class NameServer: Sendable {
    let port: UInt16
    private let channel: any Channel
    private let questions: Questions
    private let folder: TestFolder
    private let resolverConfiguration: String

    /// How often each name was asked for, both families.
    final class Questions: Sendable {
        private let counts = Mutex<[String: Int]>([:])

        func add(_ name: String) { self.counts.withLock { $0[name, default: 0] += 1 } }
        func count(of name: String) -> Int { self.counts.withLock { $0[name] ?? 0 } }
    }

    init() async throws {
        let questions = Questions()
        self.questions = questions
        self.channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
            .channelOption(.datagramVectorReadMessageCount, value: 32)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 32 * 512))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Responder(questions))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.port = UInt16(self.channel.localAddress?.port ?? 0)
        self.folder = try TestFolder()
        self.resolverConfiguration = try self.folder.write("resolv.conf", "nameserver 127.0.0.1\n")
    }

    var configuration: AresConfiguration {
        AresConfiguration(resolverConfiguration: self.resolverConfiguration, port: self.port)
    }

    func questionCount(of name: String) -> Int { self.questions.count(of: name) }

    func close() async throws {
        try await self.channel.close()
    }
}

/// RFC 1035 §4, as much as one question needs.
private final class Responder: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let questions: NameServer.Questions

    init(_ questions: NameServer.Questions) { self.questions = questions }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = self.unwrapInboundIn(data)
        var bytes = request.data
        guard let id = bytes.readInteger(as: UInt16.self), bytes.readBytes(length: 10) != nil else { return }
        let start = bytes.readerIndex
        var labels: [String] = []
        while let length = bytes.readInteger(as: UInt8.self), length > 0 {
            guard let label = bytes.readString(length: Int(length)) else { return }
            labels.append(label)
        }
        guard let type = bytes.readInteger(as: UInt16.self), bytes.readInteger(as: UInt16.self) == 1,
            let question = request.data.getSlice(at: start, length: bytes.readerIndex - start)
        else { return }
        self.questions.add(labels.joined(separator: "."))
        guard let answer = Self.answer(labels[0], isAAAA: type == 28) else { return }

        var response = ByteBuffer()
        response.writeInteger(id)
        response.writeInteger(0x8180 | answer.code)
        for count in [1, answer.records.count, 0, 0] { response.writeInteger(UInt16(count)) }
        response.writeImmutableBuffer(question)
        for record in answer.records {
            response.writeInteger(0xC00C as UInt16)
            response.writeInteger(type)
            response.writeInteger(1 as UInt16)
            response.writeInteger(60 as UInt32)
            response.writeInteger(UInt16(record.count))
            response.writeBytes(record)
        }
        context.writeAndFlush(
            self.wrapOutboundOut(AddressedEnvelope(remoteAddress: request.remoteAddress, data: response)), promise: nil)
    }

    /// nil: silence.
    private static func answer(_ label: String, isAAAA: Bool) -> (code: UInt16, records: [[UInt8]])? {
        let v4: [UInt8] = [192, 0, 2, 1]
        let v6: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1]
        switch label.prefix(while: { $0 != "-" }) {
        case "both": return (0, [isAAAA ? v6 : v4])
        case "v4": return (0, isAAAA ? [] : [v4])
        case "v6": return (0, isAAAA ? [v6] : [])
        case "late6": return isAAAA ? nil : (0, [v4])
        case "late4": return isAAAA ? (0, [v6]) : nil
        case "silent": return nil
        case "failing": return (2, [])
        default: return (3, [])
        }
    }
}
