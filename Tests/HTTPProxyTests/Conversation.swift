import Basics
import NIOCore

@testable import HTTPProxy

/// A machine and what it has asked for.
struct Conversation {
    enum Step: Equatable {
        case connect(String)
        case tunnel(String)
        case toTarget(String)
        case toClient(String)
        case closeTarget
        case resetTarget
        case splice
        case closeClient
        case resetClient
        case turnedAway(HTTPRefusal)
    }

    var machine: HTTPProxyMachine
    /// What it has asked for since the last look; texts for one end behind each other are one.
    private var steps: [Step] = []

    init(users: [String: String]? = nil, announcement: HTTPAnnouncement? = nil) {
        let accepts: (([UInt8], [UInt8]) -> Bool)? = users.map { users in
            { users[String(decoding: $0, as: UTF8.self)] == String(decoding: $1, as: UTF8.self) }
        }
        self.machine = HTTPProxyMachine(
            HTTPProxyMachine.Configuration(accepts: accepts, announcement: announcement))
    }

    /// What has been asked for since the last call.
    mutating func take() -> [Step] {
        while let action = self.machine.nextAction() { self.add(action) }
        defer { self.steps = [] }
        return self.steps
    }

    private mutating func add(_ action: HTTPProxyMachine.Action) {
        switch action {
        case .connect(let target): self.steps.append(.connect("\(target)"))
        case .tunnel(let target): self.steps.append(.tunnel("\(target)"))
        case .sendToTarget(let bytes):
            if case .toTarget(let text) = self.steps.last {
                self.steps[self.steps.count - 1] = .toTarget(text + String(buffer: bytes))
            } else {
                self.steps.append(.toTarget(String(buffer: bytes)))
            }
        case .sendToClient(let bytes):
            if case .toClient(let text) = self.steps.last {
                self.steps[self.steps.count - 1] = .toClient(text + String(buffer: bytes))
            } else {
                self.steps.append(.toClient(String(buffer: bytes)))
            }
        case .closeTarget: self.steps.append(.closeTarget)
        case .resetTarget: self.steps.append(.resetTarget)
        case .splice: self.steps.append(.splice)
        case .closeClient: self.steps.append(.closeClient)
        case .resetClient: self.steps.append(.resetClient)
        case .tell(.turnedAway(let refusal)): self.steps.append(.turnedAway(refusal))
        case .tell: break
        }
    }

    mutating func client(_ text: String) -> [Step] {
        self.machine.received(ByteBuffer(string: text))
        return self.take()
    }

    mutating func clientEnds() -> [Step] {
        self.machine.clientEnded()
        return self.take()
    }

    mutating func connected() -> [Step] {
        self.machine.targetConnected()
        return self.take()
    }

    mutating func target(_ text: String) -> [Step] {
        self.machine.targetReceived(ByteBuffer(string: text))
        return self.take()
    }

    mutating func targetEnds() -> [Step] {
        self.machine.targetEnded()
        return self.take()
    }

    mutating func targetBreaks() -> [Step] {
        self.machine.targetBroke()
        return self.take()
    }

    mutating func targetStops() -> [Step] {
        self.machine.targetStopped()
        return self.take()
    }

    /// A request that has reached its server.
    static func exchanging(
        _ head: String = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", announcement: HTTPAnnouncement? = nil
    ) -> Conversation {
        var conversation = Conversation(announcement: announcement)
        _ = conversation.client(head)
        _ = conversation.connected()
        return conversation
    }
}

extension [Conversation.Step] {
    /// The status line and the last step of an answer that ends the connection.
    var answer: String? {
        for case .toClient(let text) in self { return text.split(separator: "\r\n").first.map(String.init) }
        return nil
    }

    var clientText: String {
        self.reduce(into: "") { if case .toClient(let text) = $1 { $0 += text } }
    }

    var targetText: String {
        self.reduce(into: "") { if case .toTarget(let text) = $1 { $0 += text } }
    }
}
