import CommandSupport
import LibC
import NIOCore
import TLS
import UDP

/// What others call the server by.
struct PublicName {
    let host: String
    let port: UInt16
    /// How it was found, in words, when nobody has said it.
    let guess: String?

    /// - Parameters:
    ///   - said: `HOST` or `HOST:PORT` of `--public-name`; nil: not said.
    ///   - address: what the server listens on.
    ///   - port: the port that it has there.
    ///   - certificate: its names are good ones where an authority vouches for them.
    init(said: HostPort?, address: ListenAddress, port: UInt16, certificate: Identity) {
        if let said {
            self.init(host: said.host, port: said.port == 0 ? port : said.port, guess: nil)
        } else if !address.isWildcard {
            self.init(host: address.host, port: port, guess: nil)
        } else if !certificate.isSelfSigned, let name = certificate.dnsNames.first {
            self.init(host: name, port: port, guess: "a name of the certificate")
        } else if let own = Self.ownAddress {
            self.init(host: own, port: port, guess: "this machine's address")
        } else {
            self.init(host: Self.hostName, port: port, guess: "this machine's name")
        }
    }

    private init(host: String, port: UInt16, guess: String?) {
        self.host = host
        self.port = port
        self.guess = guess
    }

    /// What a person has to know about a guess.
    var notice: String? {
        self.guess.map {
            "the links say \(self.host), \($0); --public-name HOST says what other machines reach this one by"
        }
    }

    /// Which address packets to the internet leave from: the kernel tells without sending any (connect(2) of a UDP socket).
    private static var ownAddress: String? {
        for text in ["193.0.14.129", "2001:7fd::1"] {
            guard let remote = try? SocketAddress(ipAddress: text, port: 53),
                let own = Self.source(towards: remote), own != "0.0.0.0", own != "::"
            else { continue }
            return own
        }
        return nil
    }

    private static func source(towards remote: SocketAddress) -> String? {
        let family = remote.protocol == .inet6 ? AF_INET6 : AF_INET
        let descriptor = socket(family, SocketKind.datagram, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let isConnected = remote.withSockAddr { connect(descriptor, $0, socklen_t($1)) } == 0
        return isConnected ? SocketAddress(localAddressOf: descriptor)?.ipAddress : nil
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
