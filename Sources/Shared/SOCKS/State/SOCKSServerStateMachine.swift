package import Basics
package import NIOCore

/// The proxy's side of one SOCKS handshake: SOCKS 4, 4a, and 5 (RFC 1928) with user and password (RFC 1929).
///
///     receive → .send       write it, call receive again with what is left
///     receive → .connect    dial, then complete(_:) and write what it returns; the handshake is over
///     receive → .associate  open a UDP relay, then complete(_:) with where it is; the handshake is over
///     receive → .refuse     write it if there is something, then close
///
/// Bytes that follow the request stay in the caller's buffer: they are the first bytes for the target.
package struct SOCKSServerStateMachine: Sendable {
    /// What the caller does next.
    package enum Step: Equatable, Sendable {
        /// The buffer holds the start of a message; nothing was taken from it.
        case needMoreBytes
        case send(ByteBuffer)
        case connect(Target)
        /// The client wants to send UDP. `port`: the one that it says it will send from; nil when it does not say.
        case associate(port: UInt16?)
        case refuse(ByteBuffer?, SOCKSViolation)
    }

    private enum Version {
        case socks4
        case socks5
    }

    private enum State {
        case greeting
        case password
        case request
        case connecting(Version)
        case finished
    }

    private var state = State.greeting
    private let credentials: SOCKSCredentials
    /// The user that the client has proved to be; nil where nobody has to be one.
    package private(set) var user: String?

    package init(credentials: SOCKSCredentials = SOCKSCredentials()) {
        self.credentials = credentials
    }

    /// Whether the request that is being answered is one of SOCKS 4.
    package var isVersion4: Bool { if case .connecting(.socks4) = self.state { true } else { false } }

    /// Takes at most one message from the front of `bytes`. Each has a largest size (521 bytes for SOCKS 4a, the longest):
    /// a caller that feeds what has arrived never holds more than that without a decision.
    package mutating func receive(_ bytes: inout ByteBuffer) -> Step {
        switch self.state {
        case .greeting:
            switch bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) {
            case nil: return .needMoreBytes
            case 4: return self.receiveSOCKS4Request(&bytes)
            case 5: return self.receiveGreeting(&bytes)
            case .some(let version): return self.refuse(nil, .unknownVersion(version))
            }
        case .password:
            return self.receivePassword(&bytes)
        case .request:
            return self.receiveRequest(&bytes)
        case .connecting, .finished:
            // What comes now is for the target, or for nobody.
            return .needMoreBytes
        }
    }

    /// The reply that tells the client how the dial ended, or where its UDP relay is. Call once, after `.connect` or
    /// `.associate`; close after it unless `outcome` is `.connected`.
    package mutating func complete(_ outcome: SOCKSOutcome) -> ByteBuffer {
        guard case .connecting(let version) = self.state else {
            preconditionFailure("SOCKS: complete(_:) without a connection request to answer")
        }
        self.state = .finished
        var bound: SocketAddress?
        if case .connected(let address) = outcome { bound = address }
        switch version {
        case .socks4: return Self.socks4Reply(SOCKS4Reply(outcome), bound: bound)
        case .socks5: return Self.socks5Reply(SOCKS5Reply(outcome), bound: bound)
        }
    }

    private mutating func refuse(_ reply: ByteBuffer?, _ violation: SOCKSViolation) -> Step {
        self.state = .finished
        return .refuse(reply, violation)
    }
}

// MARK: - SOCKS 5

extension SOCKSServerStateMachine {
    private static let noAuthentication: UInt8 = 0x00  // RFC 1928 §3
    private static let userPassword: UInt8 = 0x02
    private static let noAcceptableMethod: UInt8 = 0xFF
    private static let connectCommand: UInt8 = 0x01  // RFC 1928 §4
    private static let associateCommand: UInt8 = 0x03

    ///     +-----+----------+----------+
    ///     | VER | NMETHODS | METHODS  |    RFC 1928 §3
    ///     |  1  |    1     | 1 to 255 |
    ///     +-----+----------+----------+
    private mutating func receiveGreeting(_ bytes: inout ByteBuffer) -> Step {
        var reader = bytes
        reader.moveReaderIndex(forwardBy: 1)
        guard let methods = reader.readLengthPrefixedSlice(as: UInt8.self) else { return .needMoreBytes }
        bytes = reader

        let wanted = self.credentials.isRequired ? Self.userPassword : Self.noAuthentication
        guard methods.readableBytesView.contains(wanted) else {
            return self.refuse(ByteBuffer(bytes: [5, Self.noAcceptableMethod]), .noAcceptableMethod)
        }
        self.state = self.credentials.isRequired ? .password : .request
        return .send(ByteBuffer(bytes: [5, wanted]))
    }

    ///     +-----+------+----------+------+----------+
    ///     | VER | ULEN |  UNAME   | PLEN |  PASSWD  |    RFC 1929 §2
    ///     |  1  |  1   | 1 to 255 |  1   | 1 to 255 |
    ///     +-----+------+----------+------+----------+
    private mutating func receivePassword(_ bytes: inout ByteBuffer) -> Step {
        var reader = bytes
        guard let version = reader.readInteger(as: UInt8.self) else { return .needMoreBytes }
        guard version == 1 else { return self.refuse(nil, .malformed(.passwordRequest)) }
        guard let user = reader.readLengthPrefixedSlice(as: UInt8.self),
            let password = reader.readLengthPrefixedSlice(as: UInt8.self)
        else { return .needMoreBytes }
        bytes = reader

        guard self.credentials.accept(user: Array(buffer: user), password: Array(buffer: password)) else {
            // "If the server returns a `failure' status, it MUST close the connection."
            return self.refuse(ByteBuffer(bytes: [1, 1]), .wrongPassword(user: String(buffer: user)))
        }
        self.user = String(buffer: user)
        self.state = .request
        return .send(ByteBuffer(bytes: [1, 0]))
    }

    ///     +-----+-----+-----+------+----------+----------+
    ///     | VER | CMD | RSV | ATYP | DST.ADDR | DST.PORT |    RFC 1928 §4
    ///     |  1  |  1  |  1  |  1   | variable |    2     |
    ///     +-----+-----+-----+------+----------+----------+
    private mutating func receiveRequest(_ bytes: inout ByteBuffer) -> Step {
        var reader = bytes
        guard let version = reader.readInteger(as: UInt8.self) else { return .needMoreBytes }
        guard version == 5 else { return self.refuse(nil, .malformed(.request)) }
        // RSV is 0 by the RFC; nothing would be gained by turning away a client that sends something else.
        guard let (command, _, type) = reader.readMultipleIntegers(as: (UInt8, UInt8, UInt8).self) else {
            return .needMoreBytes
        }

        let host: Target.Host?
        switch type {
        case 0x01:
            guard let address = reader.readBytes(length: 4) else { return .needMoreBytes }
            host = .ipv4(address)
        case 0x04:
            guard let address = reader.readBytes(length: 16) else { return .needMoreBytes }
            host = .ipv6(address)
        case 0x03:
            guard let name = reader.readLengthPrefixedSlice(as: UInt8.self) else { return .needMoreBytes }
            host = Target.Host(name: name.readableBytesView)
        default:
            // The rest can't be read without knowing how long the address is.
            bytes = reader
            return self.refuseRequest(
                [Self.connectCommand, Self.associateCommand].contains(command)
                    ? .unsupportedAddressType(type) : .unsupportedCommand(command))
        }
        guard let port = reader.readInteger(as: UInt16.self) else { return .needMoreBytes }
        bytes = reader

        if command == Self.associateCommand {
            // The address says nothing that the connection does not: who is behind a NAT, or does not know it, names another
            // one, or something that is none.
            self.state = .connecting(.socks5)
            return .associate(port: port == 0 ? nil : port)
        }
        guard command == Self.connectCommand else { return self.refuseRequest(.unsupportedCommand(command)) }
        guard let host, port != 0 else { return self.refuseRequest(.invalidTarget) }
        self.state = .connecting(.socks5)
        return .connect(Target(host: host, port: port))
    }

    private mutating func refuseRequest(_ violation: SOCKSViolation) -> Step {
        let code: SOCKS5Reply =
            switch violation {
            case .unsupportedCommand: .commandNotSupported
            case .unsupportedAddressType: .addressTypeNotSupported
            default: .generalFailure
            }
        return self.refuse(Self.socks5Reply(code, bound: nil), violation)
    }

    ///     +-----+-----+-----+------+----------+----------+
    ///     | VER | REP | RSV | ATYP | BND.ADDR | BND.PORT |    RFC 1928 §6
    ///     |  1  |  1  |  1  |  1   | variable |    2     |
    ///     +-----+-----+-----+------+----------+----------+
    private static func socks5Reply(_ code: SOCKS5Reply, bound: SocketAddress?) -> ByteBuffer {
        var reply = ByteBuffer()
        reply.reserveCapacity(22)
        reply.writeMultipleIntegers(5 as UInt8, code.rawValue, 0 as UInt8)
        let port = UInt16(truncatingIfNeeded: bound?.port ?? 0)
        switch bound {
        case .v6(let address):
            reply.writeInteger(4 as UInt8)
            _ = withUnsafeBytes(of: address.address.sin6_addr) { reply.writeBytes($0) }
        case .v4(let address):
            reply.writeInteger(1 as UInt8)
            _ = withUnsafeBytes(of: address.address.sin_addr) { reply.writeBytes($0) }
        case .unixDomainSocket, nil:
            reply.writeInteger(1 as UInt8)
            reply.writeInteger(0 as UInt32)
        }
        reply.writeInteger(port)
        return reply
    }
}

// MARK: - SOCKS 4 and 4a

extension SOCKSServerStateMachine {
    ///     +-----+-----+----------+---------+--------+------+
    ///     | VER | CMD | DST.PORT | DST.IP  | USERID | NULL |    SOCKS 4; in 4a, where DST.IP is 0.0.0.x with x ≠ 0,
    ///     |  1  |  1  |    2     |    4    | 0–255  |  1   |    the target's name and another NULL follow.
    ///     +-----+-----+----------+---------+--------+------+
    private mutating func receiveSOCKS4Request(_ bytes: inout ByteBuffer) -> Step {
        var reader = bytes
        reader.moveReaderIndex(forwardBy: 1)
        guard let (command, port, address) = reader.readMultipleIntegers(as: (UInt8, UInt16, UInt32).self) else {
            return .needMoreBytes
        }
        // The user id is what identd would confirm; it proves nothing, so nobody looks at it.
        switch reader.readNullTerminatedSlice(maxLength: 255) {
        case .incomplete: return .needMoreBytes
        case .tooLong: return self.refuseSOCKS4(.malformed(.socks4Request))
        case .complete: break
        }

        let host: Target.Host?
        if (1...0xFF).contains(address) {
            switch reader.readNullTerminatedSlice(maxLength: 255) {
            case .incomplete: return .needMoreBytes
            case .tooLong: return self.refuseSOCKS4(.malformed(.socks4Request))
            case .complete(let name): host = Target.Host(name: name.readableBytesView)
            }
        } else {
            host = .ipv4(withUnsafeBytes(of: address.bigEndian) { [UInt8]($0) })
        }
        bytes = reader

        guard !self.credentials.isRequired else { return self.refuseSOCKS4(.noAcceptableMethod) }
        guard command == Self.connectCommand else { return self.refuseSOCKS4(.unsupportedCommand(command)) }
        guard let host, port != 0 else { return self.refuseSOCKS4(.invalidTarget) }
        self.state = .connecting(.socks4)
        return .connect(Target(host: host, port: port))
    }

    private mutating func refuseSOCKS4(_ violation: SOCKSViolation) -> Step {
        self.refuse(Self.socks4Reply(.rejected, bound: nil), violation)
    }

    ///     +-----+-----+----------+---------+
    ///     |  0  | CD  | DST.PORT | DST.IP  |    an IPv6 address has no room here and is told as 0.0.0.0
    ///     |  1  |  1  |    2     |    4    |
    ///     +-----+-----+----------+---------+
    private static func socks4Reply(_ code: SOCKS4Reply, bound: SocketAddress?) -> ByteBuffer {
        var reply = ByteBuffer()
        reply.reserveCapacity(8)
        reply.writeMultipleIntegers(0 as UInt8, code.rawValue, UInt16(truncatingIfNeeded: bound?.port ?? 0))
        if case .v4(let address) = bound {
            _ = withUnsafeBytes(of: address.address.sin_addr) { reply.writeBytes($0) }
        } else {
            reply.writeInteger(0 as UInt32)
        }
        return reply
    }
}

extension ByteBuffer {
    fileprivate enum NullTerminated {
        case complete(ByteBuffer)
        case incomplete
        case tooLong
    }

    /// Takes the bytes before the next NUL, and the NUL. Unless `.complete`, nothing is taken.
    fileprivate mutating func readNullTerminatedSlice(maxLength: Int) -> NullTerminated {
        let window = self.readableBytesView.prefix(maxLength + 1)
        guard let end = window.firstIndex(of: 0) else {
            return window.count > maxLength ? .tooLong : .incomplete
        }
        guard let slice = self.readSlice(length: end - window.startIndex) else { return .incomplete }
        self.moveReaderIndex(forwardBy: 1)
        return .complete(slice)
    }
}
