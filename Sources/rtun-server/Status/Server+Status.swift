import Admin
import AppProto
import Basics
import CommandSupport
import FlowLedger
import NIOCore

extension Server {
    /// What to announce: where the server listens and, if anywhere, tells of itself.
    func readyLine(_ admin: AdminServer?) -> ReadyLine {
        ReadyLine(program: "rtun-server", admin.announced(with: self.listeningSchemes))
    }

    /// Where the status is to be had.
    var statusSource: StatusSource {
        let (parts, listening) = (self.parts, self.listeningSchemes)
        return StatusSource(layout: ServerStatus.layout) {
            parts.eventLoop.submit {
                var status = parts.value.service.status
                status.listening = listening
                status.connectionCount = parts.value.tcp.connectionCount + parts.value.udp.sessionCount
                if let certificate = parts.value.certificateWatch {
                    status.certificate = ServerStatus.Certificate(
                        file: certificate.file, fingerprint: "\(certificate.fingerprint)", ends: certificate.end)
                }
                return status
            }
        } traffic: {
            parts.eventLoop.submit { parts.value.service.bridgedTraffic }
        }
    }
}

extension SignalService {
    /// What is known of agents, clients and channels; of the first of each only, so that it takes no time that anybody notices.
    fileprivate var status: ServerStatus {
        let clock = StatusClock(self.eventLoop.now)
        let limit = ServerStatus.listLimit
        var status = ServerStatus()
        if self.isStopping { status.readiness = .notReady("the server is stopping") }
        status.agentCount = self.broker.registry.count
        status.agents = self.broker.registry.first(limit).map { entry in
            let info = entry.info
            return ServerStatus.Agent(
                name: info.name, instance: info.instanceID.rawValue, session: entry.session.rawValue,
                address: info.address, mapping: "\(info.mapping)", software: info.software, labels: info.labels,
                since: self.sessions[entry.session]?.peer.since,
                expires: info.expireAtMilliseconds == 0 ? nil : info.expireAtMilliseconds,
                channels: self.broker.routes.count(of: entry.session))
        }
        status.clientCount = max(0, self.sessionCount - status.agentCount)
        let clients = self.sessions.values.lazy.filter { $0.peer.role == .client }.prefix(limit)
        status.clients = clients.sorted { $0.id.rawValue < $1.id.rawValue }.map { session in
            ServerStatus.Client(
                session: session.id.rawValue, address: session.peer.address, software: session.peer.software,
                since: session.peer.since, channels: self.broker.routes.count(of: session.id))
        }
        status.channelCount = self.broker.routes.count
        status.channels = self.broker.routes.listed(limit).map { ServerStatus.Channel($0, clock) }
        status.traffic = self.broker.routes.carried
        status.bridge = self.bridge.map { bridge in
            ServerStatus.Bridge(
                channels: self.broker.bridgedCount(within: .seconds(10), of: clock.now), counts: bridge.counts)
        }
        status.handshakes = self.admission.counts
        status.keys = self.broker.keys.map { keys in
            ServerStatus.Keys(
                agents: keys.agentCount, clients: keys.clientCount,
                refused: KeyRefusal.Reason.allCases.map { ($0.rawValue, self.keyRefusals.counts[$0] ?? 0) })
        }
        return status
    }

    /// What the bridge has carried, of each channel that the status tells of.
    fileprivate var bridgedTraffic: Traffic {
        var traffic = Traffic(total: self.broker.routes.carried)
        for channel in self.broker.routes.listed(ServerStatus.listLimit) {
            traffic.parts["\(channel.peer)"] = channel.account.bridged
        }
        return traffic
    }
}

extension PeerAccount {
    fileprivate var bridged: FlowTraffic { FlowTraffic(sent: self.bridgedOut, received: self.bridgedIn) }
}

extension ServerStatus.Channel {
    fileprivate init(_ channel: PeerRoutes.Listed, _ clock: StatusClock) {
        let account = channel.account
        self.init(
            peer: "\(channel.peer)", client: account.client, session: account.session.rawValue, agent: account.agent,
            since: clock.unixTime(of: account.since), bridged: account.bridged,
            isBridged: channel.lastCarried.map { clock.now - $0 <= .seconds(10) } ?? false)
        switch account.kind {
        case .quicTunnel: self.kind = "tunnel"
        case .udpRelay(let relay):
            self.kind = "relay"
            self.target = relay.target.authority
        case nil: break
        }
    }
}
