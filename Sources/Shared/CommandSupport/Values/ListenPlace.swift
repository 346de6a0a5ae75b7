import LibC

/// Where to listen: an address and a port, or a socket in the file system, as in `unix:/run/rtun.sock`.
package enum ListenPlace: Hashable, Sendable, CustomStringConvertible {
    case network(ListenAddress)
    case unix(UnixSocketPath)

    /// Reads what the command line says; the further parameters are those of ``ListenAddress``.
    package init(
        parsing text: String, defaultHost: String, defaultPort: UInt16? = nil
    ) throws(ListenPlaceError) {
        if text.hasPrefix(UnixSocketPath.prefix) {
            self = .unix(try UnixSocketPath(parsing: text))
        } else {
            do {
                self = .network(try ListenAddress(parsing: text, defaultHost: defaultHost, defaultPort: defaultPort))
            } catch {
                throw .address(error)
            }
        }
    }

    package var description: String {
        switch self {
        case .network(let address): address.description
        case .unix(let path): path.description
        }
    }
}

/// The path of a socket in the file system.
package struct UnixSocketPath: Hashable, Sendable, CustomStringConvertible {
    package static let prefix = "unix:"

    package let path: String

    /// Reads `unix:/path`.
    init(parsing text: String) throws(ListenPlaceError) {
        let path = String(text.dropFirst(Self.prefix.count))
        guard !path.isEmpty, !path.hasPrefix("@"), !path.hasSuffix("/"), !path.utf8.contains(0) else {
            throw .noPath(text)
        }
        guard path.utf8.count <= Self.limit else { throw .longPath(text) }
        self.path = path
    }

    /// What the system allows, less its NUL and what ``UnixListeningSocket`` adds for a moment.
    static let limit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1 - UnixListeningSocket.suffixLength

    package var description: String { Self.prefix + self.path }
}

/// Why a text is no ``ListenPlace``.
package enum ListenPlaceError: Error, Equatable, CustomStringConvertible {
    case address(HostPortError)
    case noPath(String)
    case longPath(String)

    package var description: String {
        switch self {
        case .address(let error): "\(error)"
        case .noPath(let text):
            "\"\(text)\" has no path of a file; expected unix:/path, for example unix:/run/rtun.sock"
        case .longPath(let text): "the path in \"\(text)\" is longer than \(UnixSocketPath.limit) bytes"
        }
    }
}
