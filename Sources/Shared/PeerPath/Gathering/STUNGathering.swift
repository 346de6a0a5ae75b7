package import Basics
import DequeModule
package import ICE
package import NIOCore
package import STUN

/// Asks STUN servers, from every socket, how they see us (RFC 8445 §5.1.1.2). A value without sockets or clock:
/// call a mutating method, then drain `next()`.
package struct STUNGathering {
    package enum Output: Equatable {
        case send(ByteBuffer, base: LocalBaseID, server: SocketAddress)
        case candidate(ICECandidate)
        /// Nil: no answer in time.
        case failed(server: SocketAddress, STUNError?)
        /// Every question is answered, or given up. What the answers say together of the NAT in front of us.
        case ended(MappingBehavior)
    }

    /// What came of one question, for reports.
    package struct Result: Equatable {
        package enum Outcome: Equatable {
            case mapped(SocketAddress)
            /// Nil: no answer in time.
            case failed(STUNError?)
            /// The kernel did not let the question out.
            case refused
        }

        package let base: LocalBaseID
        package let server: SocketAddress
        package let outcome: Outcome
    }

    private struct Question {
        let host: ICECandidate
        let base: LocalBaseID
        let server: SocketAddress
        let serverAddress: TransportAddress
        var transaction: BindingTransaction
    }

    /// Questions in all: hosts times servers, so that a long list of `--stun` does not become a flood.
    static let maximumQuestions = 32
    /// After this long we tell the peer that no more will come. Every answer by then counts; a transaction as such
    /// would go on for 39.5 s (RFC 8489 §6.2.1), longer than anybody waits for a path.
    package static let timeLimit = TimeAmount.seconds(5)
    /// After the first answer the others get this long, two retransmissions: a server that a firewall hides (its second
    /// port, or another family) is not worth the whole wait.
    static let graceTime = TimeAmount.seconds(2)

    /// The first host candidate of each socket.
    private let hosts: [ICECandidate]
    private let timeLimit: TimeAmount
    private var mapping: MappingInference
    /// In the order in which they came.
    package private(set) var results: [Result] = []
    private var questions: [Question] = []
    /// Servers that have been asked.
    private var servers = Set<TransportAddress>()
    /// How many lists of servers are still to come.
    private var unresolved = 0
    private var giveUpAt: NIODeadline?
    private var hasStarted = false
    private var outputs: Deque<Output> = []
    private var random = SystemRandomNumberGenerator()

    /// `hosts` are all local host candidates; one question is asked per socket, not per candidate.
    package init(hosts: [ICECandidate], timeLimit: TimeAmount = Self.timeLimit) {
        self.timeLimit = timeLimit
        self.mapping = MappingInference(hosts: hosts)
        var bases = Set<LocalBaseID>()
        self.hosts = hosts.filter { host in host.base.map { bases.insert($0).inserted } ?? false }
    }

    /// Asks every server of a family that a socket has. Call once.
    package mutating func start(servers: [SocketAddress], at now: NIODeadline) {
        self.start(unresolved: 1, at: now)
        self.resolved(servers, at: now)
    }

    /// Starts the clock; `unresolved` calls of ``resolved(_:at:)`` are to follow. Call once.
    package mutating func start(unresolved: Int, at now: NIODeadline) {
        precondition(!self.hasStarted, "gathering starts once")
        self.hasStarted = true
        self.giveUpAt = now + self.timeLimit
        self.unresolved = unresolved
        self.endIfDone()
    }

    /// Asks servers whose addresses have become known; what comes after the end changes nothing.
    package mutating func resolved(_ servers: [SocketAddress], at now: NIODeadline) {
        guard self.giveUpAt != nil else { return }
        self.unresolved -= 1
        for server in servers {
            guard let serverAddress = TransportAddress(server), self.servers.insert(serverAddress).inserted else {
                continue
            }
            for host in self.hosts {
                guard let base = host.base, TransportAddress(host.address)?.family == serverAddress.family,
                    self.questions.count < Self.maximumQuestions
                else {
                    continue
                }
                self.mapping.asked(on: base, family: serverAddress.family)
                var transaction = BindingTransaction(id: .random(using: &self.random))
                self.outputs.append(.send(transaction.start(at: now), base: base, server: server))
                self.questions.append(
                    Question(
                        host: host, base: base, server: server, serverAddress: serverAddress, transaction: transaction))
            }
        }
        self.endIfDone()
    }

    /// When to call `handleTimeout`.
    package var nextDeadline: NIODeadline? {
        guard let giveUpAt = self.giveUpAt else {
            return nil
        }
        return self.questions.reduce(giveUpAt) { min($0, $1.transaction.nextDeadline ?? $0) }
    }

    /// Retransmits what is due; an early or late call is harmless.
    package mutating func handleTimeout(at now: NIODeadline) {
        guard let giveUpAt = self.giveUpAt else {
            return
        }
        guard now < giveUpAt else {
            for question in self.questions {
                self.failed(question, nil)
            }
            self.questions = []
            self.unresolved = 0
            self.endIfDone()
            return
        }
        for index in self.questions.indices {
            if case .send(let request) = self.questions[index].transaction.timerFired(at: now) {
                self.outputs.append(
                    .send(request, base: self.questions[index].base, server: self.questions[index].server))
            }
        }
    }

    /// Looks at a STUN message. False when it answers none of our questions: then it is somebody else's.
    package mutating func receive(
        _ datagram: ByteBuffer, on base: LocalBaseID, from source: SocketAddress, at now: NIODeadline
    ) -> Bool {
        guard !self.questions.isEmpty, let source = TransportAddress(source),
            self.questions.contains(where: { $0.base == base && $0.serverAddress == source }),
            let received = try? ReceivedSTUNMessage(decoding: datagram)
        else {
            return false
        }
        for index in self.questions.indices
        where self.questions[index].base == base && self.questions[index].serverAddress == source {
            guard let answer = self.questions[index].transaction.received(received.message) else {
                continue
            }
            let question = self.questions.remove(at: index)
            switch answer {
            case .success(let mapped):
                self.mapping.answered(on: base, server: source, mapped: mapped)
                self.results.append(Result(base: base, server: question.server, outcome: .mapped(mapped)))
                self.giveUpAt = self.giveUpAt.map { min($0, now + Self.graceTime) }
                self.outputs.append(
                    .candidate(.serverReflexive(mapped: mapped, host: question.host, server: question.server)))
            case .failure(let error):
                self.failed(question, error)
            }
            self.endIfDone()
            return true
        }
        return false
    }

    /// A question could not be sent on this socket to this server, so it will not be answered.
    package mutating func sendFailed(on base: LocalBaseID, to server: SocketAddress) {
        guard let index = self.questions.firstIndex(where: { $0.base == base && $0.server == server }) else { return }
        let question = self.questions.remove(at: index)
        self.results.append(Result(base: base, server: question.server, outcome: .refused))
        self.outputs.append(.failed(server: question.server, nil))
        self.endIfDone()
    }

    private mutating func failed(_ question: Question, _ error: STUNError?) {
        self.results.append(Result(base: question.base, server: question.server, outcome: .failed(error)))
        self.outputs.append(.failed(server: question.server, error))
    }

    /// What to do next.
    package mutating func next() -> Output? {
        self.outputs.popFirst()
    }

    private mutating func endIfDone() {
        if self.questions.isEmpty, self.unresolved == 0, self.giveUpAt != nil {
            self.giveUpAt = nil
            self.outputs.append(.ended(self.mapping.behavior))
        }
    }
}
