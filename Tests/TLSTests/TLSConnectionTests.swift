import NIOCore
import TLS
import TestSupport
import Testing

@Suite struct TLSConnectionTests {
    let identity: Identity

    init() throws {
        self.identity = try #require(Identity.shared)
    }

    @Test func `both ends complete the handshake, agree on ALPN and export the same binding`() throws {
        let pair = try ConnectionPair()
        #expect(pair.client.channelBinding == nil)
        pair.run()
        #expect(pair.clientLog.isEstablished && pair.serverLog.isEstablished)
        #expect(pair.clientLog.applicationProtocol == "http/1.1")
        #expect(pair.serverLog.applicationProtocol == "http/1.1")
        let binding = try #require(pair.client.channelBinding)
        #expect(binding.count == 32)
        #expect(pair.server.channelBinding == binding)
        #expect(pair.client.peerFingerprint == self.identity.leafFingerprint)
        #expect(pair.server.peerFingerprint == nil)

        let other = try ConnectionPair()
        other.run()
        #expect(other.client.channelBinding != binding)
    }

    @Test func `certificates are checked in both directions when both sides ask`() throws {
        let clientIdentity = try Identity.selfSigned(commonName: "client")
        let pair = try ConnectionPair(
            client: .client(
                verification: .fingerprint(self.identity.leafFingerprint), identity: clientIdentity),
            server: .server(
                identity: self.identity, verification: .fingerprint(clientIdentity.leafFingerprint)))
        pair.run()
        #expect(pair.clientLog.error == nil && pair.serverLog.error == nil)
        #expect(pair.server.peerFingerprint == clientIdentity.leafFingerprint)
    }

    @Test func `another certificate than the pinned one is refused with an alert`() throws {
        let other = try Identity.selfSigned(commonName: "other")
        let pair = try ConnectionPair(
            client: .client(verification: .fingerprint(other.leafFingerprint)),
            server: .server(identity: self.identity))
        pair.run()
        let expected = CertificateRejection.Kind.fingerprintMismatch(
            expected: other.leafFingerprint, received: self.identity.leafFingerprint)
        #expect(pair.clientLog.rejection?.kind == expected)
        #expect(!pair.clientLog.isEstablished)
        #expect(pair.client.channelBinding == nil)
        #expect(pair.serverLog.error == .alertReceived("bad certificate"))
    }

    @Test func `a client without the certificate that the server demands is refused`() throws {
        let pair = try ConnectionPair(
            client: .client(verification: .insecure),
            server: .server(identity: self.identity, verification: .fingerprint(self.identity.leafFingerprint)))
        pair.run()
        #expect(pair.serverLog.rejection?.kind == .missing)
        #expect(pair.clientLog.error == .alertReceived("certificate required"))
    }

    @Test(arguments: ["broker.example", "a.wild.example", "127.0.0.1", "::1"])
    func `a certificate of a trusted authority is accepted for its names and addresses`(name: String) throws {
        let directory = try TestFolder()
        let authority = try directory.write("ca.pem", self.identity.certificateChainPEM)
        let pair = try ConnectionPair(
            client: .client(verification: .certificateAuthorities(file: authority, serverName: name)),
            server: .server(identity: self.identity))
        pair.run()
        #expect(pair.clientLog.error == nil)
        #expect(pair.clientLog.isEstablished && pair.serverLog.isEstablished)
    }

    @Test(arguments: ["other.example", "example", "a.b.wild.example", "wild.example", "127.0.0.2", "::2"])
    func `a certificate for other names is refused, saying which`(name: String) throws {
        let directory = try TestFolder()
        let authority = try directory.write("ca.pem", self.identity.certificateChainPEM)
        let pair = try ConnectionPair(
            client: .client(verification: .certificateAuthorities(file: authority, serverName: name)),
            server: .server(identity: self.identity))
        pair.run()
        let rejection = try #require(pair.clientLog.rejection)
        #expect(rejection.kind == .nameMismatch(expected: name))
        #expect(
            rejection.description == "it is issued for DNS:broker.example, DNS:*.wild.example, IP Address:127.0.0.1, "
                + "IP Address:0:0:0:0:0:0:0:1, not for \(name)")
    }

    @Test func `an empty server name does not switch the check off`() throws {
        let context = try TLSContext.client(verification: .certificateAuthorities(file: nil, serverName: ""))
        #expect(throws: TLSError.self) { try TLSConnection(context: context) }
    }

    @Test func `a certificate of an unknown authority is refused as such`() throws {
        let directory = try TestFolder()
        let other = try Identity.selfSigned(commonName: "other")
        let authority = try directory.write("ca.pem", other.certificateChainPEM)
        for file in [authority, nil] {
            let pair = try ConnectionPair(
                client: .client(verification: .certificateAuthorities(file: file, serverName: "broker.example")),
                server: .server(identity: self.identity))
            pair.run()
            let rejection = try #require(pair.clientLog.rejection)
            #expect(rejection.kind == .untrustedIssuer)
            #expect(
                pair.clientLog.error?.description == "certificate is not trusted: self-signed certificate")
            #expect(pair.serverLog.error == .alertReceived("unknown ca"))
        }
    }

    @Test func `chains through an intermediate are followed, and expiry is told apart`() throws {
        let directory = try TestFolder()
        try directory.write(
            "openssl.cnf",
            """
            [ca]
            basicConstraints=critical,CA:TRUE
            [leaf]
            subjectAltName=DNS:broker.example
            [authority]
            database=issued.txt
            new_certs_dir=.
            rand_serial=yes
            unique_subject=no
            default_md=sha256
            policy=subject
            [subject]
            commonName=supplied
            """)
        try directory.write("issued.txt", "")
        let newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        try directory.openssl("req -x509 \(newKey) -keyout root.key -out root.pem -subj /CN=root -days 9")
        try directory.openssl("req \(newKey) -keyout middle.key -out middle.csr -subj /CN=middle")
        try directory.openssl(
            "x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 9 "
                + "-extfile openssl.cnf -extensions ca -out middle.pem")
        try directory.openssl("req \(newKey) -keyout leaf.key -out leaf.csr -subj /CN=leaf")
        for (dates, name) in [("-days 9", "leaf"), ("-startdate 20200101000000Z -enddate 20200102000000Z", "expired")] {
            try directory.openssl(
                "ca -batch -config openssl.cnf -name authority -in leaf.csr -cert middle.pem "
                    + "-keyfile middle.key \(dates) -extensions leaf -notext -out \(name).pem")
        }
        func load(_ leaf: String, with issuers: [String]) throws -> Identity {
            let parts = try ([leaf] + issuers).map {
                try directory.openssl("x509 -in \($0).pem")
            }
            return try Identity.load(
                certificateFile: directory.write("chain.pem", parts.joined()), keyFile: directory.file("leaf.key"))
        }
        func outcome(_ identity: Identity, authority: String) throws -> TLSError? {
            let verification = PeerVerification.certificateAuthorities(
                file: directory.file(authority), serverName: "broker.example")
            let pair = try ConnectionPair(
                client: .client(verification: verification), server: .server(identity: identity))
            pair.run()
            #expect(pair.clientLog.isEstablished == (pair.clientLog.error == nil))
            return pair.clientLog.error
        }
        #expect(try outcome(load("leaf", with: ["middle"]), authority: "root.pem") == nil)
        #expect(try outcome(load("leaf", with: []), authority: "middle.pem") == nil)
        #expect(try outcome(load("leaf", with: []), authority: "root.pem")?.rejection?.kind == .untrustedIssuer)
        #expect(try outcome(load("expired", with: ["middle"]), authority: "root.pem")?.rejection?.kind == .expired)
    }

    @Test func `an authority file that is missing or not PEM is named`() throws {
        let directory = try TestFolder()
        let missing = directory.file("missing.pem")
        #expect(throws: TLSError.cannotReadFile(path: missing, reason: "no such file or directory")) {
            try TLSContext.client(verification: .certificateAuthorities(file: missing, serverName: "a"))
        }
        let garbage = try directory.write("garbage.pem", "no certificate")
        let error = #expect(throws: TLSError.self) {
            try TLSContext.client(verification: .certificateAuthorities(file: garbage, serverName: "a"))
        }
        #expect(error?.description.hasPrefix("no usable certificate in \(garbage)") == true)
    }

    @Test func `a client that offers only unknown protocols is refused`() throws {
        let pair = try ConnectionPair(
            client: .client(verification: .insecure, applicationProtocols: ["h2"]),
            server: .server(identity: self.identity))
        pair.run()
        #expect(pair.clientLog.error == .alertReceived("no application protocol"))
        let silent = try ConnectionPair(
            client: .client(verification: .insecure, applicationProtocols: []),
            server: .server(identity: self.identity))
        silent.run()
        #expect(silent.serverLog.isEstablished && silent.serverLog.applicationProtocol == nil)
    }

    @Test(arguments: [1, 7, 1_000, .max])
    func `much data arrives whole in pieces of any size, both ways`(chunk: Int) throws {
        let pair = try ConnectionPair()
        pair.chunk = chunk
        pair.run()
        var random = SeededGenerator(1)
        let upload = random.bytes(chunk == 1 ? 40_000 : 700_000)
        let download = random.bytes(chunk == 1 ? 20_000 : 300_000)
        try pair.client.send(ByteBuffer(bytes: upload[..<3]))
        try pair.client.send(ByteBuffer(bytes: upload[3...]))
        try pair.server.send(ByteBuffer(bytes: download))
        pair.run()
        #expect(pair.serverLog.received == upload)
        #expect(pair.clientLog.received == download)
    }

    @Test func `close_notify ends one direction and then the other`() throws {
        let pair = try ConnectionPair()
        pair.run()
        try pair.client.send(ByteBuffer(string: "last words"))
        pair.client.closeOutput()
        pair.client.closeOutput()
        #expect(throws: TLSError.closed) { try pair.client.send(ByteBuffer(string: "more")) }
        pair.run()
        #expect(pair.serverLog.received == Array("last words".utf8))
        #expect(pair.serverLog.isInputClosed && !pair.clientLog.isInputClosed)

        try pair.server.send(ByteBuffer(string: "the answer"))
        pair.server.closeOutput()
        pair.run()
        #expect(pair.clientLog.received == Array("the answer".utf8))
        #expect(pair.clientLog.isInputClosed)

        // Clean: the end of the transport says nothing new.
        pair.client.receiveEnd()
        pair.server.receiveEnd()
        pair.run()
        #expect(pair.clientLog.error == nil && pair.serverLog.error == nil)
    }

    @Test func `the end of the transport without close_notify is a truncation`() throws {
        let pair = try ConnectionPair()
        pair.run()
        try pair.client.send(ByteBuffer(string: "half of it"))
        pair.run()
        pair.server.receiveEnd()
        pair.drainServer()
        #expect(pair.serverLog.received == Array("half of it".utf8))
        #expect(pair.serverLog.error == .truncated)
    }

    @Test func `an end before the client's first byte is reported`() throws {
        let pair = try ConnectionPair()
        pair.drainServer()
        #expect(pair.serverLog.error == nil)
        pair.server.receiveEnd()
        pair.drainServer()
        #expect(pair.serverLog.error == .endedDuringHandshake)
        #expect(pair.server.takeOutput() == nil)
    }

    @Test func `the end of the transport during the handshake is reported`() throws {
        let pair = try ConnectionPair()
        pair.drainClient()
        pair.client.receiveEnd()
        pair.drainClient()
        #expect(pair.clientLog.error == .endedDuringHandshake)
    }

    @Test func `nothing can be sent before the handshake is over`() throws {
        let pair = try ConnectionPair()
        #expect(throws: TLSError.closed) { try pair.client.send(ByteBuffer(string: "early")) }
        pair.client.closeOutput()
        pair.run()
        #expect(pair.serverLog.isEstablished && !pair.serverLog.isInputClosed)
    }

    @Test func `a flipped bit ends the connection, and nothing of the record is delivered`() throws {
        let pair = try ConnectionPair()
        pair.run()
        pair.tamper = { bytes in
            let index = bytes.readableBytes / 2
            if let byte = bytes.getInteger(at: index, as: UInt8.self) {
                bytes.setInteger(byte ^ 0x10, at: index)
            }
        }
        try pair.client.send(ByteBuffer(string: "to be damaged"))
        pair.run()
        #expect(pair.serverLog.received.isEmpty)
        guard case .protocolError = try #require(pair.serverLog.error) else {
            Issue.record("unexpected \(String(describing: pair.serverLog.error))")
            return
        }
        #expect(pair.clientLog.error == .alertReceived("bad record mac"))
        #expect(throws: TLSError.closed) { try pair.server.send(ByteBuffer(string: "x")) }
    }

    @Test func `plain HTTP and random bytes fail the handshake and nothing else`() throws {
        var random = SeededGenerator(7)
        let context = try TLSContext.server(identity: self.identity)
        var inputs = [Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), [0x16, 3, 1, 0xff, 0xff]]
        for length in [1, 5, 6, 50, 600, 20_000] {
            for _ in 0..<20 { inputs.append(random.bytes(length)) }
            // With a believable record header.
            inputs.append([0x16, 3, 1, UInt8(length >> 8 & 0x3f), UInt8(length & 0xff)] + random.bytes(length))
        }
        for input in inputs {
            let connection = try TLSConnection(context: context)
            connection.receive(ByteBuffer(bytes: input))
            connection.receiveEnd()
            var error: TLSError?
            while let event = connection.nextEvent() {
                guard case .failed(let failure) = event else {
                    Issue.record("unexpected \(event)")
                    return
                }
                error = failure
            }
            #expect(error != nil)
        }
    }

    @Test func `a ClientHello cut anywhere or damaged anywhere never does harm`() throws {
        let context = try TLSContext.server(identity: self.identity)
        let client = try TLSConnection(context: .client(verification: .insecure), serverName: "broker.example")
        #expect(client.nextEvent() == nil)
        let hello = Array(buffer: try #require(client.takeOutput()))
        for length in stride(from: 0, to: hello.count, by: 3) {
            let server = try TLSConnection(context: context)
            server.receive(ByteBuffer(bytes: hello[..<length]))
            #expect(server.nextEvent() == nil)
            server.receiveEnd()
            guard case .failed(.endedDuringHandshake) = server.nextEvent() else {
                Issue.record("cut at \(length)")
                return
            }
        }
        for index in hello.indices {
            var damaged = hello
            damaged[index] ^= 0xff
            let server = try TLSConnection(context: context)
            server.receive(ByteBuffer(bytes: damaged))
            while server.nextEvent() != nil {}
            #expect(!server.isEstablished)
        }
    }

    @Test func `connections come and go many times`() throws {
        let client = try TLSContext.client(verification: .insecure)
        let server = try TLSContext.server(identity: self.identity)
        for round in 0..<200 {
            let pair = try ConnectionPair(client: client, server: server)
            switch round % 4 {
            case 0: break
            case 1: pair.drainClient()
            default: pair.run()
            }
            if round % 4 == 3 {
                try pair.client.send(ByteBuffer(string: "hello"))
                pair.client.closeOutput()
                pair.run()
                #expect(pair.serverLog.isInputClosed)
            }
        }
    }

    @Test func `contexts come and go many times`() throws {
        for _ in 0..<100 {
            let context = try TLSContext.server(identity: self.identity)
            #expect(context.role == .server)
        }
    }
}
