import NIOCore
import TLS
import Testing

@testable import QUIC

@Suite struct HandshakeTests {
    @Test func `both ends that pin each other's certificate connect`() throws {
        let network = try VirtualNetwork.connected()
        #expect(network.client.peerFingerprint == TestIdentity.server.leafFingerprint)
        #expect(network.server.peerFingerprint == TestIdentity.client.leafFingerprint)
        #expect(network.client.isHandshakeComplete)
        #expect(!network.client.isClosed)
    }

    @Test func `the channel binding is the same at both ends and another for each connection`() throws {
        let first = try VirtualNetwork.connected()
        let second = try VirtualNetwork.connected()
        let binding = try #require(first.client.channelBinding)
        #expect(binding.count == 32)
        #expect(binding == first.server.channelBinding)
        #expect(binding != second.client.channelBinding)
        #expect(
            first.client.exportKeyingMaterial(label: "EXPORTER-test", context: [1, 2, 3], length: 48)
                == first.server.exportKeyingMaterial(label: "EXPORTER-test", context: [1, 2, 3], length: 48))
    }

    @Test func `there is no channel binding before the handshake`() throws {
        let network = try VirtualNetwork()
        #expect(network.client.channelBinding == nil)
        #expect(network.server.channelBinding == nil)
    }

    @Test func `a client refuses a server with another certificate than the pinned one`() throws {
        let network = try VirtualNetwork(client: .pinned(TestIdentity.client, peer: TestIdentity.stranger))
        try network.run { network.clientEvents.closeReason != nil && network.serverEvents.closeReason != nil }
        guard case .untrusted(let rejection) = network.clientEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.clientEvents.closeReason))")
            return
        }
        #expect(
            rejection.kind
                == .fingerprintMismatch(
                    expected: TestIdentity.stranger.leafFingerprint, received: TestIdentity.server.leafFingerprint))
        guard case .peerAlert = network.serverEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.serverEvents.closeReason))")
            return
        }
        #expect(!network.clientEvents.isConnected)
    }

    @Test func `a server refuses a client with another certificate than the pinned one`() throws {
        let network = try VirtualNetwork(server: .pinned(TestIdentity.server, peer: TestIdentity.stranger))
        try network.run { network.clientEvents.closeReason != nil && network.serverEvents.closeReason != nil }
        guard case .untrusted = network.serverEvents.closeReason, case .peerAlert = network.clientEvents.closeReason
        else {
            Issue.record("\(String(describing: network.serverEvents.closeReason))")
            return
        }
        #expect(!network.serverEvents.isConnected)
    }

    @Test func `a server that pins a certificate refuses a client without one`() throws {
        var client = QUICConfiguration.pinnedClient
        client.identity = nil
        let network = try VirtualNetwork(client: client)
        try network.run { network.serverEvents.closeReason != nil }
        #expect(!network.serverEvents.isConnected)
        guard case .untrusted(let rejection) = network.serverEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.serverEvents.closeReason))")
            return
        }
        #expect(rejection.kind == .missing)
    }

    @Test func `a client without certificate connects to a server that asks for none`() throws {
        var server = QUICConfiguration.pinnedServer
        server.verification = .notRequested
        var client = QUICConfiguration.pinnedClient
        client.identity = nil
        let network = try VirtualNetwork.connected(client: client, server: server)
        #expect(network.server.peerFingerprint == nil)
    }

    @Test func `an insecure client accepts any certificate`() throws {
        var client = QUICConfiguration.pinnedClient
        client.verification = .insecure
        let network = try VirtualNetwork.connected(client: client)
        #expect(network.client.peerFingerprint == TestIdentity.server.leafFingerprint)
    }

    @Test func `an unknown issuer is named as such`() throws {
        var client = QUICConfiguration.pinnedClient
        client.verification = .certificateAuthorities(file: nil, serverName: "localhost")
        let network = try VirtualNetwork(client: client)
        try network.run { network.clientEvents.closeReason != nil }
        guard case .untrusted(let rejection) = network.clientEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.clientEvents.closeReason))")
            return
        }
        #expect(rejection.kind == .untrustedIssuer)
        #expect(rejection.description.contains("issued by an authority that is not known"))
    }

    @Test func `different application protocols are refused`() throws {
        var client = QUICConfiguration.pinnedClient
        client.applicationProtocol = "other/1"
        let network = try VirtualNetwork(client: client)
        try network.run { network.clientEvents.closeReason != nil && network.serverEvents.closeReason != nil }
        // no_application_protocol (RFC 9001 §8.1).
        guard case .peerAlert(code: 120, _) = network.clientEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.clientEvents.closeReason))")
            return
        }
    }

    @Test func `the handshake survives loss and reordering`() throws {
        for loss in [0.1, 0.3] {
            let network = try VirtualNetwork()
            network.faults = .init(loss: loss, duplication: 0.1, reordering: 0.2)
            try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        }
    }

    @Test func `a handshake that nobody answers times out`() throws {
        let network = try VirtualNetwork()
        network.faults.isCut = true
        try network.run { network.clientEvents.closeReason != nil }
        #expect(network.clientEvents.closeReason == .handshakeTimedOut)
    }

    @Test func `a configuration out of range is refused`() {
        var noProtocol = QUICConfiguration.pinnedClient
        noProtocol.applicationProtocol = ""
        var hugePackets = QUICConfiguration.pinnedClient
        hugePackets.maxUDPPayload = 1500
        for configuration in [noProtocol, hugePackets] {
            #expect(throws: QUICError.self) { try QUICContext(role: .client, configuration: configuration) }
        }
        var anonymous = QUICConfiguration.pinnedServer
        anonymous.identity = nil
        #expect(throws: QUICError.self) { try QUICContext(role: .server, configuration: anonymous) }
        var noSuchFile = QUICConfiguration.pinnedClient
        noSuchFile.verification = .certificateAuthorities(file: "/no/such/file.pem", serverName: "localhost")
        #expect(throws: QUICError.self) { try QUICContext(role: .client, configuration: noSuchFile) }
    }

    @Test func `connections are made and freed many times`() throws {
        for _ in 0..<50 {
            let network = try VirtualNetwork.connected()
            network.client.close(code: 0, reason: "")
            try network.run { network.serverEvents.closeReason != nil }
        }
    }
}
