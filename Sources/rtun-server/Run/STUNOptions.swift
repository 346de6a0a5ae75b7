import AppProto
import ArgumentParser
import NIOCore

/// `--stun-port`, `--stun-addr`.
struct STUNOptions: ParsableArguments {
    @Option(
        name: .customLong("stun-port"),
        help: ArgumentHelp(
            "Answer STUN on this UDP port too, so that peers learn how their NAT behaves. 0 takes a free port, off none "
                + "(default: \(STUNSettings.usualPort), or none and a warning if that port is taken).",
            valueName: "port"),
        transform: { try Self.port($0) })
    private var port: STUNSettings.Port = .automatic

    @Option(
        name: .customLong("stun-addr"),
        help: ArgumentHelp(
            "Answer STUN on this second address of the host too, on both ports. If a NAT translates the address, write "
                + "HOST-IP=PUBLIC-IP.",
            valueName: "ip[=ip]"),
        transform: { try Self.address($0) })
    private var address: STUNSettings.SecondAddress?

    var settings: STUNSettings { STUNSettings(port: self.port, address: self.address) }

    private static func port(_ text: String) throws -> STUNSettings.Port {
        if text == "off" { return .off }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(text) else {
            throw ValidationError("expected a number from 0 to 65535, or off")
        }
        return .given(port)
    }

    private static func address(_ text: String) throws -> STUNSettings.SecondAddress {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let addresses = try parts.map { try Self.ip(String($0)) }
        guard let local = addresses.first, let announced = addresses.last else {
            throw ValidationError("expected an IP address")
        }
        guard local.protocol == announced.protocol else {
            throw ValidationError("both addresses must be of one family")
        }
        return STUNSettings.SecondAddress(local: local, announced: announced.packedIPAddress)
    }

    private static func ip(_ text: String) throws -> SocketAddress {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else {
            throw ValidationError("\"\(text)\" is not an IP address; IPv6 addresses go without brackets")
        }
        guard address.packedIPAddress.contains(where: { $0 != 0 }) else {
            throw ValidationError("expected one address of this host, not all of them")
        }
        return address
    }
}
