import NIOCore
import TLS
import Testing

/// Two TLS connections wired to each other in memory, with a record of what each of them said.
final class ConnectionPair {
    struct Log {
        var isEstablished = false
        var applicationProtocol: String?
        var received: [UInt8] = []
        var isInputClosed = false
        var error: TLSError?
        var rejection: CertificateRejection? { self.error?.rejection }
    }

    let client: TLSConnection
    let server: TLSConnection
    private(set) var clientLog = Log()
    private(set) var serverLog = Log()
    /// The largest piece of bytes delivered at once.
    var chunk = Int.max
    /// Changes bytes on their way to the server.
    var tamper: ((inout ByteBuffer) -> Void)?

    init(client: TLSContext, server: TLSContext, serverName: String? = nil) throws {
        self.client = try TLSConnection(context: client, serverName: serverName)
        self.server = try TLSConnection(context: server)
    }

    /// A pair where the client pins the server's certificate.
    convenience init() throws {
        let identity = try #require(Identity.shared)
        try self.init(
            client: .client(verification: .fingerprint(identity.leafFingerprint)),
            server: .server(identity: identity))
    }

    /// Moves bytes until both sides have nothing left to say.
    func run() {
        self.drainClient()
        self.drainServer()
        while true {
            let toServer = self.client.takeOutput()
            let toClient = self.server.takeOutput()
            if toServer == nil, toClient == nil { return }
            if var bytes = toServer {
                self.tamper?(&bytes)
                for piece in self.pieces(of: bytes) {
                    self.server.receive(piece)
                    self.drainServer()
                }
            }
            if let bytes = toClient {
                for piece in self.pieces(of: bytes) {
                    self.client.receive(piece)
                    self.drainClient()
                }
            }
        }
    }

    func drainClient() { Self.drain(self.client, into: &self.clientLog) }
    func drainServer() { Self.drain(self.server, into: &self.serverLog) }

    private func pieces(of bytes: ByteBuffer) -> [ByteBuffer] {
        var bytes = bytes
        var pieces: [ByteBuffer] = []
        while let piece = bytes.readSlice(length: min(self.chunk, bytes.readableBytes)), piece.readableBytes > 0 {
            pieces.append(piece)
        }
        return pieces
    }

    private static func drain(_ connection: TLSConnection, into log: inout Log) {
        while let event = connection.nextEvent() {
            switch event {
            case .handshakeCompleted(let applicationProtocol):
                log.isEstablished = true
                log.applicationProtocol = applicationProtocol
            case .received(let bytes):
                #expect(!log.isInputClosed && log.error == nil)
                log.received += Array(buffer: bytes)
            case .inputClosed:
                log.isInputClosed = true
            case .failed(let error):
                log.error = error
            }
        }
    }
}

extension TLSError {
    var rejection: CertificateRejection? {
        if case .certificateRejected(let rejection) = self { rejection } else { nil }
    }
}
