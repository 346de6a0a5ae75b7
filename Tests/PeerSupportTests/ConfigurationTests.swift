import CommandSupport
import NIOCore
import PeerChannel
import QUIC
import Signaling
import Testing

@testable import PeerSupport

/// From options to the configuration of channels and of the control connection.
@Suite struct ConfigurationTests {
    @Test(arguments: [([], CongestionControl.bbr), (["--congestion", "bbr"], .bbr), (["--congestion=cubic"], .cubic)])
    func `tunnel and control connection send by the congestion control that was asked for`(
        arguments: [String], congestionControl: CongestionControl
    ) throws {
        let peers = try PeerOptions.parse(arguments)
        let tunnel = try peers.configuration(commonName: "test", endToEndSecret: nil)
        #expect(tunnel.congestionControl == congestionControl)

        let server = try ServerConnectionOptions.parse(["quic://127.0.0.1:8888"])
        let control = try server.configuration(
            role: .client, secret: try SecretOptions.parse(["--secret", "x"]).load(), program: "test",
            congestion: peers.congestion)
        #expect(control.congestionControl == congestionControl)
    }
}
