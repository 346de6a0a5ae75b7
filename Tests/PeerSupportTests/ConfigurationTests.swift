import CommandSupport
import Logging
import NIOCore
import NIOEmbedded
import PeerChannel
import QUIC
import Signaling
import TLS
import Testing

@testable import PeerSupport

/// From options to the configuration of channels and of the control connection.
@Suite struct ConfigurationTests {
    @Test(arguments: [([], CongestionControl.bbr), (["--congestion", "bbr"], .bbr), (["--congestion=cubic"], .cubic)])
    func `tunnel and control connection send by the congestion control that was asked for`(
        arguments: [String], congestionControl: CongestionControl
    ) throws {
        let peers = try PeerOptions.parse(arguments)
        let tunnel = try peers.configuration(
            identity: ProcessIdentity(commonName: "test"), endToEndSecret: nil)
        #expect(tunnel.congestionControl == congestionControl)

        let server = try ServerConnectionOptions.parse(["quic://127.0.0.1:8888"])
        let access = try server.access(for: .client, SecretOptions.parse(["--secret", "x"]))
        let control = try access.configuration(
            server, role: .client, program: "test", congestion: peers.congestion)
        #expect(control.congestionControl == congestionControl)
    }

    @Test(arguments: [
        (["--ca-cert", "/nonexistent"], "--ca-cert: cannot read /nonexistent: no such file or directory"),
        (["--ca-cert", "/dev/null", "--quic-insecure"], nil),
    ])
    func `a file of authorities that cannot be used is told with its option, whatever the role`(
        options: [String], complaint: String?
    ) throws {
        let server = try ServerConnectionOptions.parse(options + ["quic://127.0.0.1:8888"])
        let access = try server.access(for: .client, SecretOptions.parse(["--secret", "x"]))
        let identity = try ProcessIdentity(commonName: "test")
        for role in [SignalClientConfiguration.Role.client, .agent(name: "a", expireIn: nil, labels: [:])] {
            func client() throws {
                _ = try access.client(
                    server, role: role, identity: identity, program: "test", congestion: .bbr,
                    eventLoop: EmbeddedEventLoop(),
                    addressMonitor: nil, logger: Logger(label: "test"))
            }
            func check() throws {
                try access.check(server, role: role, program: "test", congestion: .bbr)
            }
            for make in [client, check] {
                if let complaint {
                    let error = #expect(throws: ProgramError.self) { try make() }
                    #expect(error.map { "\($0)" } == complaint)
                } else {
                    #expect(throws: Never.self) { try make() }
                }
            }
        }
    }
}
