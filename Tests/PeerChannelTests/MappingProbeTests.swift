import AppProto
import NIOCore
import NIOPosix
import STUN
import Testing
import UDP

@testable import PeerChannel

/// The probe, on loopback against servers of our own.
@Suite struct MappingProbeTests {
    private typealias Place = PeerChannelConfiguration.STUNServerAddress
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// A UDP port on which nobody answers, or a STUN server does.
    private func server(answers: Bool) async throws -> any Channel {
        try await DatagramBootstrap(group: self.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if answers { try channel.pipeline.syncOperations.addHandler(Responder()) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func place(_ server: any Channel) throws -> Place {
        Place(host: "127.0.0.1", port: UInt16(try #require(server.localAddress?.port)))
    }

    private func run(_ servers: [Place]) async throws -> (report: MappingProbe.Report, took: Duration) {
        let start = ContinuousClock.now
        let report = try await MappingProbe.run(
            MappingProbe.Configuration(servers: servers, loopbackOnly: true), eventLoop: self.eventLoop
        ).get()
        return (report, ContinuousClock.now - start)
    }

    @Test func `on one machine there is no NAT`() async throws {
        let servers = [try await self.server(answers: true), try await self.server(answers: true)]
        let (report, _) = try await self.run(try servers.map(self.place))
        #expect(report.mapping == .none)
        #expect(report.answers.count == 2)
        #expect(report.localAddresses.map(\.ipAddress).contains("127.0.0.1"))
        for server in servers { try await server.close() }
    }

    @Test func `a probe that nobody answers ends in time`() async throws {
        let silent = try await self.server(answers: false)
        let (report, took) = try await self.run([try self.place(silent)])
        #expect(report.mapping == .udpBlocked)
        #expect(report.answers.map(\.outcome) == [.noAnswer])
        #expect(took < .seconds(15))
        try await silent.close()
    }

    @Test func `without a server the mapping is unknown, and an unknown name is reported`() async throws {
        let nowhere = Place(host: "stun.invalid", port: 3478)
        let (report, took) = try await self.run([nowhere])
        #expect(report.mapping == .unknown)
        #expect(report.unresolved == [nowhere])
        #expect(report.answers.isEmpty)
        #expect(took < .seconds(15))
    }

    @Test func `an interface that does not exist is an error`() async throws {
        let configuration = MappingProbe.Configuration(servers: [], interfaces: ["nowhere0"], loopbackOnly: false)
        await #expect(throws: PeerChannelError.self) {
            _ = try await MappingProbe.run(configuration, eventLoop: self.eventLoop).get()
        }
    }

    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let datagram = self.unwrapInboundIn(data)
            guard let answer = STUNServer.respond(to: datagram.data, from: datagram.remoteAddress) else { return }
            context.writeAndFlush(
                self.wrapOutboundOut(AddressedEnvelope(remoteAddress: datagram.remoteAddress, data: answer)),
                promise: nil)
        }
    }
}
