import AppProto
import Basics
import CommandSupport
import Logging
import NIOCore
import TLS

extension Server {
    /// Says in the log what the server is going to do.
    static func sayStarted(
        _ configuration: ServerConfiguration, _ identity: Identity, _ address: SocketAddress, _ stun: [StunServer]
    ) {
        let announced = configuration.address.announced(as: address)
        var metadata: Logger.Metadata = ["quic": "\(announced)"]
        let tcp = configuration.certificate == nil ? "http" : "https"
        metadata[tcp] = "\(announced)"
        if let files = configuration.certificate {
            metadata["certificate"] = "\(files.certificate)"
            metadata["certificate_ends"] = "\(UnixTime.text(identity.leafEnd))"
        }
        let ports = Set(stun.map { Int($0.port) } + [address.port ?? 0]).sorted()
        metadata["stun"] = "\(ports.map { ":\($0)" }.joined(separator: ","))"
        metadata["bridge"] = .stringConvertible(configuration.bridge != nil)
        let rates = [
            "bridge_rate": configuration.bridge?.channelRate, "bridge_total_rate": configuration.bridge?.totalRate,
        ]
        for (key, rate) in rates { metadata[key] = rate.map { .stringConvertible($0.bitsPerSecond) } }
        StartLine.log(
            program: "rtun-server", "serves \(tcp) and quic on \(announced)", metadata, to: configuration.logger)
    }
}
