import NIOCore
import Testing

@testable import STUN

@Suite struct `Binding transaction` {
    let id = TransactionID(high: 1, low: 2)
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func `sends 7 requests in 39.5 s and gives up`() {
        var transaction = BindingTransaction(id: self.id)
        #expect(transaction.nextDeadline == nil)
        let request = transaction.start(at: self.start)
        var sentAt = [Int64(0)]
        while let deadline = transaction.nextDeadline {
            #expect(transaction.timerFired(at: deadline - .nanoseconds(1)) == nil)
            switch transaction.timerFired(at: deadline) {
            case .send(let again):
                #expect(again == request)
                sentAt.append((deadline - self.start).nanoseconds / 1_000_000)
            case .fail(let error):
                #expect(error == .timedOut(attempts: 7))
                #expect(deadline - self.start == .milliseconds(39_500))
            case nil:
                Issue.record("nothing to do at the deadline")
                return
            }
        }
        #expect(sentAt == [0, 500, 1500, 3500, 7500, 15500, 31500])
        #expect(transaction.timerFired(at: .distantFuture) == nil)
    }

    @Test func `the server's answer ends it`() throws {
        var transaction = BindingTransaction(id: self.id)
        _ = transaction.start(at: self.start)
        let mapped = TransportAddress(ipv4: 0xC000_0201, port: 9)
        let answer = STUNMessage(.success, id: self.id, attributes: [.xorMappedAddress(mapped)])
        #expect(transaction.received(answer) == .success(try SocketAddress(ipAddress: "192.0.2.1", port: 9)))
        #expect(transaction.nextDeadline == nil)
        #expect(transaction.received(answer) == nil, "a late duplicate is ignored")
    }

    @Test func `a message that does not answer it is ignored`() {
        var transaction = BindingTransaction(id: self.id)
        let mapped: [STUNAttribute] = [.xorMappedAddress(TransportAddress(ipv4: 1, port: 9))]
        let answer = STUNMessage(.success, id: self.id, attributes: mapped)
        #expect(transaction.received(answer) == nil, "not started")
        _ = transaction.start(at: self.start)
        #expect(
            transaction.received(STUNMessage(.success, id: TransactionID(high: 1, low: 3), attributes: mapped)) == nil)
        #expect(transaction.received(STUNMessage(.request, id: self.id, attributes: mapped)) == nil)
        #expect(transaction.received(STUNMessage(.indication, id: self.id, attributes: mapped)) == nil)
        #expect(
            transaction.received(STUNMessage(.success, method: .init(rawValue: 3), id: self.id, attributes: mapped))
                == nil)
        #expect(transaction.nextDeadline != nil)
    }

    @Test(arguments: [
        (STUNMessage.Class.success, [STUNAttribute](), STUNError.noMappedAddress),
        (.failure, [.errorCode(.badRequest)], .answered(.badRequest)),
        (.failure, [], .malformedAttribute(type: 9)),
        (
            .success,
            [.xorMappedAddress(TransportAddress(ipv4: 1, port: 9)), .other(type: 0x7000, value: [])],
            .unknownAttributes([0x7000])
        ),
    ])
    func `a useless answer ends it with the reason`(
        messageClass: STUNMessage.Class, attributes: [STUNAttribute], error: STUNError
    ) {
        var transaction = BindingTransaction(id: self.id)
        _ = transaction.start(at: self.start)
        #expect(
            transaction.received(STUNMessage(messageClass, id: self.id, attributes: attributes)) == .failure(error))
        #expect(transaction.nextDeadline == nil)
    }
}
