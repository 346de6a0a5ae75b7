import ArgumentParser
import CommandSupport
import Logging
import NIOPosix
import QUIC
import Signaling
import TLS
import Testing

@testable import rtun_server

/// `--congestion`, from the command line to the UDP listener.
@Suite struct CongestionTests {
    @Test(arguments: [([], CongestionControl.bbr), (["--congestion", "bbr"], .bbr), (["--congestion=cubic"], .cubic)])
    func `the listener sends by the congestion control that was asked for`(
        arguments: [String], congestionControl: CongestionControl
    ) async throws {
        let secret = try SecretOptions.parse(["--secret", "test"])
        let credentials = try ServerCredentials(secret, files: nil, folder: nil, name: "test")
        let configuration = try ServerCommand.parse(arguments).configuration(
            credentials, SecretKeys(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let identity = try Identity.selfSigned(commonName: "test")
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        try await eventLoop.submit {
            let parts = try Server.Parts(configuration, Server.Parts.Loaded(identity: identity), eventLoop: eventLoop)
            #expect(parts.udp.configuration.congestionControl == congestionControl)
            // Another certificate changes nothing about that.
            try parts.udp.replaceIdentity(identity)
            #expect(parts.udp.configuration.congestionControl == congestionControl)
        }.get()
    }

    @Test(arguments: ["reno", "BBR", "2"]) func `an unknown congestion control is a usage error`(text: String) throws {
        let error = try #require(throws: (any Error).self) { try ServerCommand.parse(["--congestion", text]) }
        #expect(ServerCommand.exitCode(for: error).rawValue == 64)
        let message = ServerCommand.message(for: error)
        #expect(message.contains("'\(text)' is invalid for '--congestion <algorithm>'"), "\(message)")
        #expect(message.contains("'bbr' and 'cubic'"), "\(message)")
    }
}
