package import NIOCore

/// Timers and bounds of an `ICEAgent`. The defaults suit a client and an agent on the internet, and start at once on loopback.
package struct ICEConfiguration: Hashable, Sendable {
    /// Ta: the time between new checks (RFC 8445 §14.2, default 50 ms).
    package var pacing: TimeAmount = .milliseconds(50)
    /// Ta for the first `quickChecks` checks. 5 ms is the least that RFC 8445 §14.2 allows; a session has few
    /// candidates, and its first byte waits for this.
    package var quickPacing: TimeAmount = .milliseconds(5)
    package var quickChecks = 10

    /// The least RTO (RFC 8445 §14.3).
    package var minimumRTO: TimeAmount = .milliseconds(500)
    /// The wait after a request doubles up to this. RFC 8489 §6.2.1 would double on to 16 s, past our `timeLimit`:
    /// the mappings that checks are to open would get two probes less. One datagram every 2 s is no burden.
    package var maximumRTO: TimeAmount = .seconds(2)
    /// Rc: requests per check (RFC 8489 §6.2.1).
    package var requestsPerCheck = 7
    /// Requests per pair over all its checks: a peer that keeps triggering new ones gets no more than these.
    package var requestsPerPair = 40

    /// How long checks may go on without any pair that works, counted from when the remote credentials are known.
    package var timeLimit: TimeAmount = .seconds(10)
    /// The same when both sides have named all candidates and none of our checks is left: what remains is the hope that
    /// the peer's checks arrive from an address that it did not know.
    package var hopelessTimeLimit: TimeAmount = .seconds(2)
    /// How long the controlling side waits for something better after the first pair works. Data flows meanwhile
    /// (RFC 8445 §12.1.1), so that this delays nobody.
    package var nominationDelay: TimeAmount = .milliseconds(500)

    /// Consent checks on the path in use (RFC 7675 §5.1), each interval drawn from ±20 %.
    package var consentInterval: TimeAmount = .seconds(5)
    /// RFC 7675 §5.1
    package var consentTimeout: TimeAmount = .seconds(30)
    /// How long the answer to a probe may take to be noticed.
    package var probeLifetime: TimeAmount = .seconds(5)
    /// Checks on the pairs that are kept for the case that the path fails; keeps NAT mappings open (RFC 8445 §11).
    package var keepaliveInterval: TimeAmount = .seconds(15)
    /// How long such a pair may stay unanswered.
    package var standbyTimeout: TimeAmount = .seconds(60)
    /// How many such pairs are kept.
    package var standbyPairs = 3

    /// RFC 8445 §6.1.2.5
    package var maximumPairs = 100
    package var maximumLocalCandidates = 64
    package var maximumRemoteCandidates = 64
    /// Of these, how many may be peer-reflexive: anybody with the password can make one with a single datagram.
    package var maximumPeerReflexiveCandidates = 16
    /// Checks kept that arrive before the remote credentials are known.
    package var maximumEarlyChecks = 32
    /// Datagrams waiting in `nextTransmit()`; more are dropped, as the network might.
    package var maximumQueuedTransmits = 64

    package init() {}
}
