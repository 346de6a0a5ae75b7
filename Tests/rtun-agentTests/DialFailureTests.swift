import AppProto
import Glibc
import NIOCore
import NameResolution
import Testing

@testable import rtun_agent

@Suite struct DialFailureTests {
    private static func failed(_ code: Int32) -> any Error { IOError(errnoCode: code, reason: "connect") }

    @Test(arguments: [
        (ECONNREFUSED, OpenCode.refused),
        (EHOSTUNREACH, .hostUnreachable),
        (ENETUNREACH, .networkUnreachable),
        (EADDRNOTAVAIL, .networkUnreachable),
        (ETIMEDOUT, .timedOut),
        (EMFILE, .limit),
        (EACCES, .failed),
    ])
    func `each error of the system has its code`(number: Int32, code: OpenCode) {
        #expect(DialFailure(Self.failed(number)).code == code)
    }

    @Test func `a connect timeout says how long it waited`() {
        let failure = DialFailure(ChannelError.connectTimeout(.seconds(10)))
        #expect(failure == DialFailure(.timedOut, "no answer within 10 s"))
    }

    @Test(
        arguments: [
            ([ENETUNREACH, ECONNREFUSED], OpenCode.refused),
            ([ECONNREFUSED, EHOSTUNREACH], .refused),
            ([ENETUNREACH, ETIMEDOUT], .timedOut),
            ([ENETUNREACH, EHOSTUNREACH], .hostUnreachable),
            ([EACCES, ENETUNREACH], .networkUnreachable),
            ([EACCES], .failed),
        ] as [([Int32], OpenCode)])
    func `of several attempts the most telling error counts`(numbers: [Int32], code: OpenCode) {
        let failure = DialFailure(connectionErrors: numbers.map(Self.failed), resolutionErrors: [])
        #expect(failure.code == code)
    }

    @Test func `a name that does not resolve, or only to refused addresses, is told apart`() {
        let unknown = DialFailure(
            connectionErrors: [], resolutionErrors: [NameLookupError.notFound, NameLookupError.failed("x")])
        #expect(unknown == DialFailure(.nameNotFound, "the name is not known"))
        let refused = DialFailure(
            connectionErrors: [], resolutionErrors: [NameLookupError.notFound, DialFailure(.policy, "refused")])
        #expect(refused.code == .policy)
        #expect(DialFailure(NameLookupError.busy).code == .limit)
        #expect(DialFailure(connectionErrors: [], resolutionErrors: []).code == .nameNotFound)
    }
}
