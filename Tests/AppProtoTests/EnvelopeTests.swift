import NIOCore
import Testing

@testable import AppProto

@Suite struct EnvelopeTests {
    @Test func `every message survives encoding and decoding`() throws {
        for (index, body) in try Sample.bodies().enumerated() {
            let envelope = Envelope(id: UInt64(index), body)
            let decoded = try Envelope(decoding: envelope.encoded())
            if case (.hello(var sent), .hello(let received)) = (body, decoded.body) {
                #expect(received.authenticatedBytes == sent.authenticatedBytes)
                sent.mac = []
                #expect(received.mac == Sample.nonce)
                #expect(received.role == sent.role)
            } else {
                #expect(decoded == envelope)
            }
        }
    }

    @Test func `an agent's hello and its welcome survive encoding and decoding`() throws {
        let hello = Hello(
            version: 1, role: .agent, clientNonce: Sample.nonce, bindingType: .tlsExporter, agent: Sample.registration,
            software: "rtun-agent/1", mac: Sample.nonce)
        guard case .hello(let received) = try Envelope(decoding: Envelope(.hello(hello)).encoded()).body else {
            Issue.record("not a hello")
            return
        }
        #expect(received.agent == Sample.registration)
        #expect(received.bindingType == .tlsExporter)

        var registration = Sample.registration
        registration.process = Sample.process
        let proving = Hello(
            version: 1, role: .agent, clientNonce: Sample.nonce, bindingType: .tlsExporter, agent: registration,
            software: "rtun-agent/1", keyProof: Sample.keyProof, mac: Sample.nonce)
        guard case .hello(let proved) = try Envelope(decoding: Envelope(.hello(proving)).encoded()).body else {
            Issue.record("not a hello")
            return
        }
        #expect(proved.agent == registration && proved.keyProof == Sample.keyProof)
        #expect(proved.authenticatedBytes == proving.authenticatedBytes && proved.signedBytes == proving.signedBytes)
        #expect(proved.authenticatedBytes.count == proved.signedBytes.count + 74)

        let welcome = Welcome(
            instanceID: Sample.instanceID, agentName: "büro", expireAtMilliseconds: 5, resumeToken: [9],
            observedAddress: "192.0.2.1:4", software: "rtun-server/1", bridge: true,
            stunServers: [StunServer(port: 3478), StunServer(address: [192, 0, 2, 2], port: 1)],
            timeMilliseconds: 1_700_000_000_000, mac: Sample.nonce)
        guard case .welcome(let back) = try Envelope(decoding: Envelope(.welcome(welcome)).encoded()).body else {
            Issue.record("not a welcome")
            return
        }
        #expect(back.instanceID == Sample.instanceID)
        #expect(back.resumeToken == [9])
        #expect(back.bridge)
        #expect(back.stunServers == welcome.stunServers)
        #expect(back.timeMilliseconds == 1_700_000_000_000)
        #expect(back.authenticatedBytes == welcome.authenticatedBytes)
    }

    @Test func `an offer keeps the stamp of the server`() throws {
        guard case .openPeer(var offer) = try Sample.bodies()[13] else {
            Issue.record("not an offer")
            return
        }
        for stamp in [ClientStamp(session: 1, key: nil), ClientStamp(session: .max, key: Sample.key), nil] {
            offer.client = stamp
            #expect(try Envelope(decoding: Envelope(id: 1, .openPeer(offer)).encoded()).body == .openPeer(offer))
        }
    }

    @Test func `the encoding is protobuf's`() {
        // id = 5 (field 1), goodbye (field 5) with code 1 (field 1) and reason "no" (field 2).
        let envelope = Envelope(id: 5, .goodbye(Goodbye(code: .auth, reason: "no")))
        #expect(Array(envelope.encoded().readableBytesView) == [0x08, 5, 0x2A, 6, 0x08, 1, 0x12, 2, 0x6E, 0x6F])
    }

    @Test func `an unknown body keeps the id`() throws {
        // id = 9, field 100 (length-delimited) with two bytes.
        let envelope = try Envelope(decoding: ByteBuffer(bytes: [0x08, 9, 0xA2, 0x06, 2, 1, 2]))
        #expect(envelope.id == 9)
        #expect(envelope.body == nil)
    }

    @Test func `an empty message is an envelope without a body`() throws {
        #expect(try Envelope(decoding: ByteBuffer()).body == nil)
    }

    @Test func `an unknown code counts as unspecified`() throws {
        let goodbye = try Envelope(decoding: ByteBuffer(bytes: [0x2A, 3, 0x08, 0xE7, 0x07]))
        #expect(goodbye.body == .goodbye(Goodbye(code: .unspecified)))
    }

    @Test func `a server passes on fields and kinds that only newer peers know`() throws {
        // OpenPeer (field 21) with kind 60 and an unknown field in its ICE parameters.
        guard case .openPeer(var offer) = try Sample.bodies()[13] else {
            Issue.record("not an offer")
            return
        }
        offer.kind = nil
        offer.unknownFields.fields = [.init(number: 60, wireType: 2, data: [3, 1, 2, 3])]
        offer.ice.unknownFields.fields = [.init(number: 9, wireType: 0, data: [0x2A])]
        let received = try Envelope(decoding: Envelope(id: 1, .openPeer(offer)).encoded())
        let passedOn = try Envelope(decoding: Envelope(id: 2, try #require(received.body)).encoded())
        #expect(passedOn.body == .openPeer(offer))
    }
}
