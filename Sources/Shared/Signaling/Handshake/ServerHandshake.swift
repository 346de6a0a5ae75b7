package import AppProto
import Basics
import Crypto
import TLS

/// The server's side of the handshake on one control connection.
///
/// Send `serverHello`, hand the one message that comes back to `receive`, and answer with `seal` or the `Goodbye` it gives.
package struct ServerHandshake: Sendable {
    /// The connection below the handshake.
    package enum Transport: Hashable, Sendable {
        /// No TLS, or TLS that a proxy terminates: nothing to bind to.
        case plain
        /// TLS or QUIC that this process terminates, with its exporter value (RFC 9266), 32 bytes. Binding is demanded,
        /// so that a proof made for one connection is worthless on another.
        case tls(exporter: [UInt8])
    }

    /// What to do after a message.
    package enum Outcome: Hashable, Sendable {
        /// The peer has proved the secret, and its key if it has one. Register it, then send what `seal` gives.
        case authenticated(ProvedPeer)
        /// Send this and close the connection; the error is for the log.
        case refuse(Goodbye, HandshakeError)
        /// Close the connection without a word: the peer has said goodbye itself.
        case close(HandshakeError)
    }

    private enum State {
        case waitingForHello
        case authenticated(clientNonce: [UInt8], key: SharedKey)
        case finished
    }

    private let secrets: AcceptedSecrets
    private let transport: Transport
    private let nonce: [UInt8]
    private let software: String
    private var state = State.waitingForHello

    /// `software` is the name and version told to the peer.
    package init(secrets: AcceptedSecrets, transport: Transport, software: String) {
        self.init(
            secrets: secrets, transport: transport, software: software,
            nonce: SecureRandom.bytes(Handshake.nonceLength))
    }

    init(secrets: AcceptedSecrets, transport: Transport, software: String, nonce: [UInt8]) {
        self.secrets = secrets
        self.transport = transport
        self.software = software
        self.nonce = nonce
    }

    private var bindingType: BindingType {
        switch self.transport {
        case .plain: .none
        case .tls: .tlsExporter
        }
    }

    private var binding: [UInt8] {
        switch self.transport {
        case .plain: []
        case .tls(let exporter): exporter
        }
    }

    /// The first message of the connection.
    package var serverHello: Envelope {
        Envelope(
            .serverHello(
                ServerHello(
                    versions: [Handshake.version], serverNonce: self.nonce, bindingTypes: [self.bindingType],
                    software: self.software)))
    }

    /// Judges the peer's one message. A second call is answered as a breach of the protocol.
    package mutating func receive(_ envelope: Envelope) -> Outcome {
        switch (self.state, envelope.body) {
        case (.waitingForHello, .hello(let hello)):
            return self.judge(hello)
        case (_, .goodbye(let goodbye)):
            self.state = .finished
            return .close(.refused(goodbye))
        case (.waitingForHello, _):
            return self.refuse(.badRequest, "expected Hello", .protocolViolation("expected Hello"))
        case (.authenticated, _), (.finished, _):
            return self.refuse(
                .badRequest, "nothing may follow Hello before Welcome", .protocolViolation("a message after Hello"))
        }
    }

    private mutating func judge(_ hello: Hello) -> Outcome {
        guard hello.version == Handshake.version else {
            return self.refuse(
                .version, "this server speaks version \(Handshake.version)",
                .versionMismatch(offered: [hello.version]))
        }
        guard hello.bindingType == self.bindingType else {
            let reason =
                self.bindingType == .none
                ? "this connection has no TLS that reaches the server, so it cannot be bound to"
                : "this server demands channel binding"
            return self.refuse(.binding, reason, .bindingUnavailable(reason))
        }
        let message = hello.authenticatedBytes
        let verdict = self.secrets.judge(hello.mac, by: hello.roles) { key in
            key.proof(
                by: .client, serverNonce: self.nonce, clientNonce: hello.clientNonce, binding: self.binding,
                message: message)
        }
        switch verdict {
        case .accepted(let key):
            return self.judgeKey(of: hello, secret: key)
        case .otherRole:
            let owner = hello.role == .agent ? "clients" : "agents"
            return self.refuse(.auth, "this secret is for \(owner)", .secretOfOtherRole)
        case .unknown:
            return self.refuse(.auth, "the proof of the shared secret failed", .proofFailed)
        }
    }

    /// The secret is right; is the key?
    private mutating func judgeKey(of hello: Hello, secret: SharedKey) -> Outcome {
        let key: ProvedKey?
        do throws(HandshakeError) {
            key = try self.provedKey(of: hello)
        } catch {
            return self.refuse(.auth, "\(error)", error)
        }
        self.state = .authenticated(clientNonce: hello.clientNonce, key: secret)
        return .authenticated(ProvedPeer(hello: hello, key: key))
    }

    /// The key that the peer has signed with; nil when it names none. Only those who know the secret get so far, because
    /// signatures take time.
    private func provedKey(of hello: Hello) throws(HandshakeError) -> ProvedKey? {
        guard let proof = hello.keyProof else { return nil }
        let key: CertificateKey
        do {
            key = try CertificateKey(ofDER: proof.certificate)
        } catch {
            throw .keyRefused("\(error)")
        }
        let message = Handshake.signedMessage(
            serverNonce: self.nonce, clientNonce: hello.clientNonce, binding: self.binding, hello: hello)
        guard key.verifies(proof.signature, of: message) else {
            throw .keyRefused("the signature is not that of the certificate's key")
        }
        return ProvedKey(fingerprint: key.fingerprint, isKept: proof.isKept)
    }

    private mutating func refuse(_ code: GoodbyeCode, _ reason: String, _ error: HandshakeError) -> Outcome {
        self.state = .finished
        return .refuse(Goodbye(code: code, reason: reason), error)
    }

    /// The secret that was proved; nil while none is.
    package var secret: SecretID? {
        guard case .authenticated(_, let key) = self.state else { return nil }
        return key.id
    }

    /// `welcome` with the server's proof, to be sent as the last message of the handshake. Call once, after
    /// `receive` returned `.authenticated`.
    package mutating func seal(_ welcome: Welcome) -> Envelope {
        guard case .authenticated(let clientNonce, let key) = self.state else {
            preconditionFailure("seal(_:) is called once, after the peer was authenticated")
        }
        self.state = .finished
        var sealed = welcome
        sealed.mac = key.proof(
            by: .server, serverNonce: self.nonce, clientNonce: clientNonce, binding: self.binding,
            message: welcome.authenticatedBytes)
        return Envelope(.welcome(sealed))
    }
}
