import LibC
package import NIOCore
import OperatingSystem

/// Where to listen, as written on the command line: `127.0.0.1:2080`, `[::1]:2080`, `localhost:2080`; a port alone goes with
/// the program's usual address, and `:2080` or `*:2080` stand for all addresses of this machine.
package struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
    private let place: HostPort

    /// Reads an address.
    ///
    /// - Parameters:
    ///   - defaultHost: the address that a port alone goes with.
    ///   - defaultPort: the port that an address alone goes with; without one that is an error.
    package init(parsing text: String, defaultHost: String, defaultPort: UInt16? = nil) throws(HostPortError) {
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            guard let port = UInt16(text) else { throw .invalidPort(text) }
            self.place = HostPort(host: defaultHost, port: port)
        } else if text == "*" || text.hasPrefix("*:") || text.hasPrefix(":") && !text.dropFirst().contains(":") {
            do {
                self.place = try HostPort(parsing: "[::]\(text.drop { $0 == "*" })", defaultPort: defaultPort)
            } catch .missingPort {
                throw .missingPort(text)
            } catch {
                throw .invalidPort(text)
            }
        } else {
            self.place = try HostPort(parsing: text, defaultPort: defaultPort)
        }
    }

    /// 0 asks the system for a free one.
    package var port: UInt16 { self.place.port }

    /// An IP address without brackets, or a name.
    package var host: String { self.place.host }

    /// Whether it stands for all addresses of this machine.
    package var isWildcard: Bool { ["0.0.0.0", "::"].contains(self.place.host) }

    /// `host:port`, an IPv6 address in brackets.
    package var description: String { self.place.description }

    /// How to announce it, once it is known which port it is.
    ///
    /// - Parameter bound: a socket's address. Its port counts, and its address if it was asked for by name.
    package func announced(as bound: SocketAddress) -> String {
        let host = self.isWildcard ? self.place.host : bound.ipAddress ?? self.place.host
        return HostPort(host: host, port: UInt16(clamping: bound.port ?? 0)).description
    }

    /// What to listen on, with a socket each. Of several it is enough when one can be had: `[::]` stands for both families,
    /// and so does `0.0.0.0` on a machine that has nothing but IPv6.
    ///
    /// A name is looked up, which blocks; the first address counts. Throws with exit code 69 when it has none.
    package func resolve() throws(ProgramError) -> [SocketAddress] {
        let port = Int(self.port)
        switch self.place.host {
        case let host where host == "::" || host == "0.0.0.0" && Self.families == [.inet6]:
            return ["::", "0.0.0.0"].compactMap { try? SocketAddress(ipAddress: $0, port: port) }
        case let host:
            if let literal = try? SocketAddress(ipAddress: host, port: port) { return [literal] }
            do {
                return [try SocketAddress.makeAddressResolvingHost(host, port: port)]
            } catch {
                throw ProgramError(.unavailable, "cannot listen on \(self): there is no address named \(host)")
            }
        }
    }

    /// Of which families this machine has addresses besides loopback and link-local ones.
    private static var families: Set<NIOBSDSocket.ProtocolFamily> {
        let addresses = ((try? System.enumerateDevices()) ?? []).compactMap(\.address)
        return Set(
            addresses.filter { address in
                let text = address.ipAddress ?? ""
                return !text.isEmpty && !text.hasPrefix("127.") && text != "::1" && !text.hasPrefix("fe80:")
            }.map(\.protocol))
    }
}

extension ListenAddress {
    /// Why a program cannot listen there, with what helps.
    package func error(_ error: any Error) -> ProgramError { Self.error(error, on: self.description, port: self.port) }

    /// Why a program cannot listen on `place`, whose port is `port`, with what helps. Exit code 69.
    package static func error(_ error: any Error, on place: String, port: UInt16) -> ProgramError {
        guard let number = (error as? IOError)?.errnoCode else {
            return ProgramError(.unavailable, "cannot listen on \(place): \(error)")
        }
        let advice =
            switch number {
            case EACCES where port != 0 && port < 1024:
                """
                ; ports below 1024 need a privilege: take a higher one, run as root, or give CAP_NET_BIND_SERVICE \
                (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE; otherwise: setcap cap_net_bind_service=+ep PROGRAM)
                """
            case EADDRINUSE: "; \"ss -lntup\" shows which program has the port"
            case EADDRNOTAVAIL: "; this machine has no such address (\"ip address\" shows those that it has)"
            case EAFNOSUPPORT: "; this machine does not use that address family"
            default: ""
            }
        return ProgramError(.unavailable, "cannot listen on \(place): \(SystemError.text(number))\(advice)")
    }

    /// Whether another family may still be listened on.
    package static func lacksFamily(_ error: any Error) -> Bool {
        [EAFNOSUPPORT, EADDRNOTAVAIL].contains((error as? IOError)?.errnoCode)
    }
}
