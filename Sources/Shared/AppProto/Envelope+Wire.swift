import CAppProto

extension Envelope: RootMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Envelope>) { rtun__envelope__init(pointer) }

    init(_ message: Rtun__Envelope) throws(AppProtoError) {
        self.id = message.id
        self.body =
            switch message.body_case {
            case RTUN__ENVELOPE__BODY_SERVER_HELLO: .serverHello(try readMessage(message.server_hello, "server_hello"))
            case RTUN__ENVELOPE__BODY_HELLO: .hello(try readMessage(message.hello, "hello"))
            case RTUN__ENVELOPE__BODY_WELCOME: .welcome(try readMessage(message.welcome, "welcome"))
            case RTUN__ENVELOPE__BODY_GOODBYE: .goodbye(try readMessage(message.goodbye, "goodbye"))
            case RTUN__ENVELOPE__BODY_PING: .ping
            case RTUN__ENVELOPE__BODY_PONG: .pong
            case RTUN__ENVELOPE__BODY_FAILURE: .failure(try readMessage(message.failure, "failure"))
            case RTUN__ENVELOPE__BODY_LIST_AGENTS: .listAgents(try readMessage(message.list_agents, "list_agents"))
            case RTUN__ENVELOPE__BODY_AGENT_LIST: .agentList(try readMessage(message.agent_list, "agent_list"))
            case RTUN__ENVELOPE__BODY_BIND: .bind(try readMessage(message.bind, "bind"))
            case RTUN__ENVELOPE__BODY_BOUND: .bound(try readMessage(message.bound, "bound"))
            case RTUN__ENVELOPE__BODY_AGENT_GONE: .agentGone(try readMessage(message.agent_gone, "agent_gone"))
            case RTUN__ENVELOPE__BODY_OPEN_PEER: .openPeer(try readMessage(message.open_peer, "open_peer"))
            case RTUN__ENVELOPE__BODY_OPEN_PEER_REPLY:
                .openPeerReply(try readMessage(message.open_peer_reply, "open_peer_reply"))
            case RTUN__ENVELOPE__BODY_PEER_CANDIDATE:
                .peerCandidate(try readMessage(message.peer_candidate, "peer_candidate"))
            case RTUN__ENVELOPE__BODY_CLOSE_PEER: .closePeer(try readMessage(message.close_peer, "close_peer"))
            case RTUN__ENVELOPE__BODY_BRIDGE:
                .bridge(try readMessage(message.bridge, "bridge"))
            case RTUN__ENVELOPE__BODY_RESTART_PEER:
                .restartPeer(try readMessage(message.restart_peer, "restart_peer"))
            case RTUN__ENVELOPE__BODY_RESTART_PEER_REPLY:
                .restartPeerReply(try readMessage(message.restart_peer_reply, "restart_peer_reply"))
            case RTUN__ENVELOPE__BODY_RESTART_WANTED:
                .restartWanted(try readMessage(message.restart_wanted, "restart_wanted"))
            case RTUN__ENVELOPE__BODY_MAPPING_REPORT:
                .mappingReport(try readMessage(message.mapping_report, "mapping_report"))
            case RTUN__ENVELOPE__BODY_PEER_KEY: .peerKey(try readMessage(message.peer_key, "peer_key"))
            case RTUN__ENVELOPE__BODY_KEY_GONE: .keyGone(try readMessage(message.key_gone, "key_gone"))
            case RTUN__ENVELOPE__BODY_ASK_PEER_KEYS: .askPeerKeys
            default: nil
            }
    }

    func fill(_ message: inout Rtun__Envelope, _ arena: Arena) {
        message.id = self.id
        switch self.body {
        case .serverHello(let body):
            message.body_case = RTUN__ENVELOPE__BODY_SERVER_HELLO
            message.server_hello = arena.message(body)
        case .hello(let body):
            message.body_case = RTUN__ENVELOPE__BODY_HELLO
            message.hello = arena.message(body)
        case .welcome(let body):
            message.body_case = RTUN__ENVELOPE__BODY_WELCOME
            message.welcome = arena.message(body)
        case .goodbye(let body):
            message.body_case = RTUN__ENVELOPE__BODY_GOODBYE
            message.goodbye = arena.message(body)
        case .ping:
            message.body_case = RTUN__ENVELOPE__BODY_PING
            message.ping = arena.message(Ping())
        case .pong:
            message.body_case = RTUN__ENVELOPE__BODY_PONG
            message.pong = arena.message(Pong())
        case .failure(let body):
            message.body_case = RTUN__ENVELOPE__BODY_FAILURE
            message.failure = arena.message(body)
        case .listAgents(let body):
            message.body_case = RTUN__ENVELOPE__BODY_LIST_AGENTS
            message.list_agents = arena.message(body)
        case .agentList(let body):
            message.body_case = RTUN__ENVELOPE__BODY_AGENT_LIST
            message.agent_list = arena.message(body)
        case .bind(let body):
            message.body_case = RTUN__ENVELOPE__BODY_BIND
            message.bind = arena.message(body)
        case .bound(let body):
            message.body_case = RTUN__ENVELOPE__BODY_BOUND
            message.bound = arena.message(body)
        case .agentGone(let body):
            message.body_case = RTUN__ENVELOPE__BODY_AGENT_GONE
            message.agent_gone = arena.message(body)
        case .openPeer(let body):
            message.body_case = RTUN__ENVELOPE__BODY_OPEN_PEER
            message.open_peer = arena.message(body)
        case .openPeerReply(let body):
            message.body_case = RTUN__ENVELOPE__BODY_OPEN_PEER_REPLY
            message.open_peer_reply = arena.message(body)
        case .peerCandidate(let body):
            message.body_case = RTUN__ENVELOPE__BODY_PEER_CANDIDATE
            message.peer_candidate = arena.message(body)
        case .closePeer(let body):
            message.body_case = RTUN__ENVELOPE__BODY_CLOSE_PEER
            message.close_peer = arena.message(body)
        case .bridge(let body):
            message.body_case = RTUN__ENVELOPE__BODY_BRIDGE
            message.bridge = arena.message(body)
        case .restartPeer(let body):
            message.body_case = RTUN__ENVELOPE__BODY_RESTART_PEER
            message.restart_peer = arena.message(body)
        case .restartPeerReply(let body):
            message.body_case = RTUN__ENVELOPE__BODY_RESTART_PEER_REPLY
            message.restart_peer_reply = arena.message(body)
        case .restartWanted(let body):
            message.body_case = RTUN__ENVELOPE__BODY_RESTART_WANTED
            message.restart_wanted = arena.message(body)
        case .mappingReport(let body):
            message.body_case = RTUN__ENVELOPE__BODY_MAPPING_REPORT
            message.mapping_report = arena.message(body)
        case .peerKey(let body):
            message.body_case = RTUN__ENVELOPE__BODY_PEER_KEY
            message.peer_key = arena.message(body)
        case .keyGone(let body):
            message.body_case = RTUN__ENVELOPE__BODY_KEY_GONE
            message.key_gone = arena.message(body)
        case .askPeerKeys:
            message.body_case = RTUN__ENVELOPE__BODY_ASK_PEER_KEYS
            message.ask_peer_keys = arena.message(AskPeerKeys())
        case nil: break
        }
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__Envelope>) -> Int {
        rtun__envelope__get_packed_size(pointer)
    }

    static func pack(_ pointer: UnsafePointer<Rtun__Envelope>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        rtun__envelope__pack(pointer, bytes)
    }
}

extension Envelope: ParsedMessage {
    static func unpack(
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<Rtun__Envelope>? {
        rtun__envelope__unpack(allocator, bytes.count, bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    }

    static func free(
        _ pointer: UnsafeMutablePointer<Rtun__Envelope>, _ allocator: UnsafeMutablePointer<ProtobufCAllocator>
    ) {
        rtun__envelope__free_unpacked(pointer, allocator)
    }
}
