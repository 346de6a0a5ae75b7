package import AppProto
import Basics
import Crypto
package import TLS

/// The agent's or client's side of the handshake on one control connection.
///
/// Hand each message of the server to `receive` until it returns something else than `.send`.
package struct ClientHandshake: Sendable {
    /// The connection below the handshake.
    package enum Transport: Hashable, Sendable {
        /// No TLS at all.
        case plain
        /// TLS or QUIC whose certificate has been verified. Its exporter value is used when the server offers to, and
        /// not when a proxy terminates TLS in front of the server. `nil`: the connection cannot export.
        case verifiedTLS(exporter: [UInt8]?)
        /// TLS or QUIC whose certificate was not checked: without binding, there could be a man in the middle.
        case uncheckedTLS(exporter: [UInt8]?)
    }

    /// What to do after a message.
    package enum Outcome: Hashable, Sendable {
        /// Send this and wait for the next message.
        case send(Envelope)
        /// The server has proved the secret too: the control connection is up.
        case established(Welcome)
        /// Close the connection.
        case failed(HandshakeError)
    }

    private enum State {
        case waitingForServerHello
        case waitingForWelcome(serverNonce: [UInt8], binding: [UInt8])
        case finished
    }

    private let key: SharedKey
    private let transport: Transport
    private let role: Role
    private let agent: AgentRegistration?
    private let identity: ProcessIdentity?
    private let software: String
    private let isCheck: Bool
    private let nonce: [UInt8]
    private var state = State.waitingForServerHello

    /// - Parameters:
    ///   - agent: the registration of an agent, `nil` for a client; with `process` if there is an identity.
    ///   - identity: the key to prove; nil: none, as programs before 0.13 did.
    ///   - software: the name and version told to the server.
    ///   - isCheck: as in `Hello`.
    package init(
        key: SharedKey, transport: Transport, agent: AgentRegistration?, identity: ProcessIdentity?, software: String,
        isCheck: Bool = false
    ) {
        self.init(
            key: key, transport: transport, agent: agent, identity: identity, software: software, isCheck: isCheck,
            nonce: SecureRandom.bytes(Handshake.nonceLength))
    }

    init(
        key: SharedKey, transport: Transport, agent: AgentRegistration?, identity: ProcessIdentity? = nil,
        software: String, isCheck: Bool = false, nonce: [UInt8]
    ) {
        self.identity = identity
        self.key = key
        self.transport = transport
        self.role = agent == nil ? .client : .agent
        self.agent = agent
        self.software = software
        self.isCheck = isCheck
        self.nonce = nonce
    }

    /// Takes the server's next message.
    package mutating func receive(_ envelope: Envelope) -> Outcome {
        switch (self.state, envelope.body) {
        case (.waitingForServerHello, .serverHello(let hello)):
            return self.answer(hello)
        case (.waitingForWelcome(let serverNonce, let binding), .welcome(let welcome)):
            return self.judge(welcome, serverNonce: serverNonce, binding: binding)
        case (.waitingForServerHello, .goodbye(let goodbye)), (.waitingForWelcome, .goodbye(let goodbye)):
            return self.fail(.refused(goodbye))
        case (.waitingForServerHello, _):
            return self.fail(.protocolViolation("expected ServerHello"))
        case (.waitingForWelcome, _):
            return self.fail(.protocolViolation("expected Welcome"))
        case (.finished, _):
            return self.fail(.protocolViolation("a message after the handshake"))
        }
    }

    private mutating func answer(_ serverHello: ServerHello) -> Outcome {
        guard serverHello.versions.contains(Handshake.version) else {
            return self.fail(.versionMismatch(offered: serverHello.versions))
        }
        let bindingType: BindingType
        let binding: [UInt8]
        do throws(HandshakeError) {
            (bindingType, binding) = try self.chooseBinding(among: serverHello.bindingTypes)
        } catch {
            return self.fail(error)
        }
        var hello = Hello(
            version: Handshake.version, role: self.role, clientNonce: self.nonce, bindingType: bindingType,
            agent: self.agent, software: self.software,
            keyProof: self.identity.map { KeyProof(certificate: $0.certificate, isKept: $0.isKept) },
            isCheck: self.isCheck)
        if let identity = self.identity {
            let message = Handshake.signedMessage(
                serverNonce: serverHello.serverNonce, clientNonce: self.nonce, binding: binding, hello: hello)
            hello.keyProof?.signature = identity.sign(message)
        }
        hello.mac = self.key.proof(
            by: .client, serverNonce: serverHello.serverNonce, clientNonce: self.nonce, binding: binding,
            message: hello.authenticatedBytes)
        self.state = .waitingForWelcome(serverNonce: serverHello.serverNonce, binding: binding)
        return .send(Envelope(.hello(hello)))
    }

    private func chooseBinding(among offered: [BindingType]) throws(HandshakeError) -> (BindingType, [UInt8]) {
        switch self.transport {
        case .uncheckedTLS(let exporter):
            guard let exporter else {
                throw .bindingUnavailable(
                    "this TLS connection has nothing to bind the handshake to, and the certificate is not checked")
            }
            guard offered.contains(.tlsExporter) else {
                throw .bindingUnavailable(
                    "the server does not terminate TLS itself, so its certificate must be checked: "
                        + "leave out --https-insecure and --quic-insecure")
            }
            return (.tlsExporter, exporter)
        case .verifiedTLS(let exporter?) where offered.contains(.tlsExporter):
            return (.tlsExporter, exporter)
        case .verifiedTLS, .plain:
            guard offered.contains(.none) else {
                throw .bindingUnavailable("the server demands channel binding, which this connection cannot provide")
            }
            return (.none, [])
        }
    }

    private mutating func judge(_ welcome: Welcome, serverNonce: [UInt8], binding: [UInt8]) -> Outcome {
        let expected = self.key.proof(
            by: .server, serverNonce: serverNonce, clientNonce: self.nonce, binding: binding,
            message: welcome.authenticatedBytes)
        guard constantTimeEquals(expected, welcome.mac) else {
            return self.fail(.proofFailed)
        }
        guard (welcome.instanceID != nil) == (self.role == .agent) else {
            return self.fail(.protocolViolation("Welcome does not fit the role"))
        }
        self.state = .finished
        return .established(welcome)
    }

    private mutating func fail(_ error: HandshakeError) -> Outcome {
        self.state = .finished
        return .failed(error)
    }
}
