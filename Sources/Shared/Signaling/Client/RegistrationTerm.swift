import Basics
import NIOCore

/// How long an agent's registration lasts. Counted in the age of its process, so that neither a new connection nor another
/// server makes it longer, nor does the machine's sleep.
struct RegistrationTerm {
    /// What was asked for; nil: no end.
    let length: TimeAmount?
    /// How old the process was when it asked to be registered last.
    private var ageAtRequest = TimeAmount.zero
    /// How old it will be at the end; nil before a server has taken it for the first time, and without an end.
    private var ageAtEnd: TimeAmount?

    /// `length`: nil for no end.
    init(_ length: TimeAmount?) {
        self.length = length
    }

    /// The process, this old, asks to be registered.
    mutating func requested(at age: TimeAmount) {
        self.ageAtRequest = age
    }

    /// A server has taken the last request. True for the first one that is taken, with which the time runs.
    mutating func accepted() -> Bool {
        guard self.ageAtEnd == nil, let length = self.length else { return false }
        self.ageAtEnd = self.ageAtRequest + length
        return true
    }

    /// What is left of it for a process of this age; zero or less when it is over, nil without an end.
    func remaining(at age: TimeAmount) -> TimeAmount? {
        self.ageAtEnd.map { $0 - age } ?? self.length
    }

    /// The same for the wire: at least 1 ms, and 0 for no end.
    func remainingMilliseconds(at age: TimeAmount) -> UInt64 {
        self.remaining(at: age).map { UInt64(max(1, $0.milliseconds.rounded(.up))) } ?? 0
    }

    /// Whether it is over.
    func hasEnded(at age: TimeAmount) -> Bool {
        self.ageAtEnd.map { $0 <= age } ?? false
    }
}
