import AppProto
import Signaling

/// What an agent has shown of itself when it asks for a name.
enum Claim: Equatable {
    /// It has proved a key, which its instance id follows from.
    case key(ProvedKey, AgentProcess)
    /// It is of an older version, and has a token of its first registration.
    case token(ResumeToken)
    /// It is of an older version, and registers for the first time.
    case nothing

    /// What the agent behind `peer` has shown; `key` opens tokens.
    init(of agent: AgentRegistration, key: ProvedKey?, openingWith serverKey: ServerKey) {
        if let key, let process = agent.process {
            self = .key(key, process)
        } else if let token = ResumeToken(opening: agent.resumeToken, name: agent.name, with: serverKey) {
            self = .token(token)
        } else {
            self = .nothing
        }
    }

    /// The id that it has a right to; nil: it gets a new one.
    var instanceID: InstanceID? {
        switch self {
        case .key(let key, let process): InstanceID(of: key.fingerprint, processNonce: process.nonce)
        // No server has given out a token for the id of a key.
        case .token(let token): token.instanceID.belongsToKey ? nil : token.instanceID
        case .nothing: nil
        }
    }

    var key: ProvedKey? {
        if case .key(let key, _) = self { key } else { nil }
    }

    /// Whether the process has been registered before, here or at another server.
    var isReturning: Bool {
        switch self {
        case .key(_, let process): process.isReturning
        case .token: true
        case .nothing: false
        }
    }
}
