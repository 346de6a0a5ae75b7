import Basics
import ICE
import NIOCore
import STUN
import TestSupport
import Testing

@testable import PeerPath

struct STUNGatheringTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let server: SocketAddress
    private let server6: SocketAddress
    private let mapped: SocketAddress
    private let hosts: [ICECandidate]

    init() throws {
        self.server = try SocketAddress(ipAddress: "198.51.100.1", port: 3478)
        self.server6 = try SocketAddress(ipAddress: "2001:db8::5", port: 3478)
        self.mapped = try SocketAddress(ipAddress: "203.0.113.7", port: 4711)
        self.hosts = [
            .host(
                address: try SocketAddress(ipAddress: "192.168.1.2", port: 5000), base: LocalBaseID(0),
                interfaceIndex: 0),
            .host(
                address: try SocketAddress(ipAddress: "10.0.0.2", port: 5000), base: LocalBaseID(0), interfaceIndex: 1),
        ]
    }

    private func drain(_ gathering: inout STUNGathering) -> [STUNGathering.Output] {
        var outputs: [STUNGathering.Output] = []
        while let output = gathering.next() {
            outputs.append(output)
        }
        return outputs
    }

    /// The request that is the only output, which goes from the first socket to `server`.
    private func onlyRequest(of gathering: inout STUNGathering) throws -> ByteBuffer {
        let outputs = self.drain(&gathering)
        #expect(outputs.count == 1)
        guard case .send(let request, let base, let destination) = outputs.first else {
            throw UnexpectedOutput()
        }
        #expect(base == LocalBaseID(0))
        #expect(destination == self.server)
        return request
    }

    private struct UnexpectedOutput: Error {}

    private func answer(to request: ByteBuffer, mapped: SocketAddress) throws -> ByteBuffer {
        try #require(STUNServer.respond(to: request, from: mapped))
    }

    @Test func `each socket asks each server of its family once, and the answer becomes a candidate`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        gathering.start(servers: [self.server, self.server, self.server6], at: self.start)
        let request = try self.onlyRequest(of: &gathering)
        let answer = try self.answer(to: request, mapped: self.mapped)
        let isOurs = gathering.receive(answer, on: LocalBaseID(0), from: self.server, at: self.start)
        #expect(isOurs)
        let outputs = self.drain(&gathering)
        guard outputs.count == 2, case .candidate(let candidate) = outputs[0] else {
            Issue.record("expected a candidate and the end, got \(outputs)")
            return
        }
        #expect(candidate.kind == .serverReflexive)
        #expect(candidate.address == self.mapped)
        #expect(candidate.base == LocalBaseID(0))
        #expect(outputs[1] == .ended(.unknown))
        #expect(gathering.nextDeadline == nil)
    }

    @Test func `an answer from elsewhere, or on another socket, is ignored`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        gathering.start(servers: [self.server], at: self.start)
        let answer = try self.answer(to: try self.onlyRequest(of: &gathering), mapped: self.mapped)
        let strays = [
            (answer, 0, self.mapped), (answer, 1, self.server), (ByteBuffer(string: "nonsense"), 0, self.server),
        ]
        for (datagram, base, source) in strays {
            let isOurs = gathering.receive(datagram, on: LocalBaseID(base), from: source, at: self.start)
            #expect(!isOurs)
        }
        #expect(self.drain(&gathering).isEmpty)
    }

    @Test func `a silent server is asked again, and given up in time`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        gathering.start(servers: [self.server], at: self.start)
        var sent = self.drain(&gathering).count
        var outputs: [STUNGathering.Output] = []
        var now = self.start
        while let deadline = gathering.nextDeadline {
            #expect(deadline > now)
            now = deadline
            gathering.handleTimeout(at: now)
            for output in self.drain(&gathering) {
                if case .send = output { sent += 1 } else { outputs.append(output) }
            }
        }
        #expect(now == self.start + STUNGathering.timeLimit)
        #expect(sent == 4)  // At 0, 0.5, 1.5 and 3.5 s.
        #expect(outputs == [.failed(server: self.server, nil), .ended(.udpBlocked)])
    }

    @Test func `without servers gathering ends at once`() {
        var gathering = STUNGathering(hosts: self.hosts)
        gathering.start(servers: [], at: self.start)
        #expect(self.drain(&gathering) == [.ended(.unknown)])
    }

    @Test func `the number of requests is limited, however many servers there are`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        let servers = try (1...100).map { try SocketAddress(ipAddress: "198.51.100.\($0)", port: 3478) }
        gathering.start(servers: servers, at: self.start)
        #expect(self.drain(&gathering).count == STUNGathering.maximumQuestions)
    }

    @Test func `a NAT with another mapping for each destination gives a candidate for each, and is recognised`() throws
    {
        var gathering = STUNGathering(hosts: self.hosts)
        let other = try SocketAddress(ipAddress: "198.51.100.1", port: 3479)
        gathering.start(servers: [self.server, other], at: self.start)
        var agent = ICEAgent(role: .controlling, local: .random(), hmacSHA1: realHMAC)
        for host in self.hosts { agent.addLocalCandidate(host, at: self.start) }
        var signalled: [SocketAddress] = []
        var ends: [MappingBehavior] = []
        var port = 4711
        var outputs = self.drain(&gathering)
        while !outputs.isEmpty {
            switch outputs.removeFirst() {
            case .send(let request, let base, let server):
                let mapped = try SocketAddress(ipAddress: "203.0.113.7", port: port)
                port += 1
                let isOurs = gathering.receive(
                    try self.answer(to: request, mapped: mapped), on: base, from: server, at: self.start)
                #expect(isOurs)
                outputs += self.drain(&gathering)
            case .candidate(let candidate):
                if agent.addLocalCandidate(candidate, at: self.start) { signalled.append(candidate.address) }
            case .ended(let mapping): ends.append(mapping)
            case .failed: Issue.record("nothing fails here")
            }
        }
        #expect(signalled.map(\.port) == [4711, 4712])
        #expect(ends == [.addressAndPortDependent])
    }

    @Test func `once a server has answered the others get two more seconds`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        let silent = try SocketAddress(ipAddress: "198.51.100.1", port: 3479)
        gathering.start(servers: [self.server, silent], at: self.start)
        guard case .send(let request, let base, _) = self.drain(&gathering).first else { throw UnexpectedOutput() }
        let now = self.start + .milliseconds(30)
        _ = gathering.receive(try self.answer(to: request, mapped: self.mapped), on: base, from: self.server, at: now)
        _ = self.drain(&gathering)
        gathering.handleTimeout(at: now + STUNGathering.graceTime - .milliseconds(1))
        #expect(!self.drain(&gathering).contains(.ended(.unknown)))
        gathering.handleTimeout(at: now + STUNGathering.graceTime)
        #expect(self.drain(&gathering).contains(.ended(.unknown)))
        #expect(gathering.nextDeadline == nil)
        #expect(
            gathering.results == [
                .init(base: base, server: self.server, outcome: .mapped(self.mapped)),
                .init(base: base, server: silent, outcome: .failed(nil)),
            ])
    }

    @Test func `a request that cannot be sent is not waited for`() throws {
        var gathering = STUNGathering(hosts: self.hosts)
        gathering.start(servers: [self.server], at: self.start)
        _ = try self.onlyRequest(of: &gathering)
        gathering.sendFailed(on: LocalBaseID(0), to: self.server)
        #expect(self.drain(&gathering) == [.failed(server: self.server, nil), .ended(.udpBlocked)])
        #expect(gathering.results == [.init(base: LocalBaseID(0), server: self.server, outcome: .refused)])
    }
}
