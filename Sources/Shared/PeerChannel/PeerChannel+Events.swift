import Basics
import HostNetwork
import Logging
import NIOCore
import PeerPath

extension PeerChannel: PathDriverDelegate {
    func path(_ driver: PathDriver, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        self.carrier?.receive(bytes, segmentSize: segmentSize, arrival: arrival)
    }

    func pathReceiveComplete(_ driver: PathDriver) { self.carrier?.receiveComplete() }

    func pathWritabilityChanged(_ driver: PathDriver) { self.carrier?.pathWritabilityChanged(driver.isWritable) }

    func path(_ driver: PathDriver, wants output: PathOutput) {
        guard !self.isEnding else { return }
        switch output {
        case .pathChanged(let old, let new, let reason): self.pathChanged(from: old, to: new, reason)
        case .limitChanged: self.carrier?.pathLimitChanged()
        case .forgetRoundTrips: self.carrier?.pathChanged()
        case .noDirectPath(let report): self.logNoDirectPath(report)
        case .ended(let failure): self.end(self.error(of: failure), tellingPeer: true)
        default: self.signal(output)
        }
    }

    private func pathChanged(from old: SelectedPath?, to new: SelectedPath?, _ reason: PathChangeReason) {
        if new != nil { self.startCarrier() }
        if case .direct = new { _ = self.indirectness.ended(at: self.eventLoop.now) }
        self.carrier?.pathChanged()
        guard case .connected = self.state else { return }
        self.totals.moves[reason, default: 0] += 1
        var metadata = self.pathMetadata("peer.path_changed", self.paths.roundTripTime)
        metadata["from"] = "\(old?.name ?? "none")"
        metadata["to"] = "\(new?.name ?? "none")"
        metadata["reason"] = "\(reason.rawValue)"
        self.logger.info("path to the peer changed", metadata: metadata)
    }

    private func pathMetadata(_ event: String, _ roundTripTime: TimeAmount?) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["event": "\(event)"]
        if let path = self.path {
            metadata["path"] = "\(path.name)"
            metadata["remote"] = "\(path.remoteDescription)"
        }
        if let roundTripTime {
            metadata["rtt_ms"] = .stringConvertible(roundTripTime.loggedMilliseconds)
        }
        return metadata
    }

    func error(of failure: PathFailure) -> PeerChannelError {
        switch failure {
        case .noPath(let report): .noPath(report)
        case .pathLost(let report): .pathLost(report)
        case .bridgeLost(let time):
            .noBridge("the server has been out of reach for \(time.nanoseconds / 1_000_000_000) s")
        case .sockets: self.paths.socketError ?? .noSocket("closed")
        case .serverDoesNotBridge: .noBridge("the server does not carry datagrams (--no-bridge)")
        case .peerDoesNotBridge: .noBridge("the other side wants direct paths only (--p2p direct)")
        }
    }
}

extension PeerChannel: PeerCarrierDelegate {
    package func carrierConnected() {
        guard case .handshaking(let key) = self.state else { return }
        guard case .client(_, _, _, _, let check?) = self.role, let admission = check.proved(key) else {
            return self.connected()
        }
        // The time for the handshake runs on.
        self.state = .admitting
        admission.hop(to: self.eventLoop).assumeIsolated().whenComplete { result in
            guard case .admitting = self.state else { return }
            switch result {
            case .success: self.connected()
            case .failure(let error): self.end(.keyRefused("\(error)"), tellingPeer: true)
            }
        }
    }

    private func connected() {
        self.timer?.cancel()
        self.timer = nil
        let addresses = self.configuration.addressMonitor?.subscribe(on: self.eventLoop) { [weak self] change in
            self?.networkChanged(change)
        }
        self.state = .connected(addresses)
        self.totals.connected = 1
        self.logger.info("peer connected", metadata: self.pathMetadata("peer.connected", self.roundTripTime))
        self.paths.tell { $0.connected(at: $1) }
        self.delegate?.peerChannelConnected(self.peerID)
    }

    /// This machine's addresses or routes have changed, or it has slept.
    func networkChanged(_ change: AddressChange) {
        self.paths.tell { $0.networkChanged(isRerouted: change.isRerouted, hasLost: change.hasLost, at: $1) }
    }

    package func carrierSuspicionChanged(_ isSuspect: Bool) {
        guard case .connected = self.state else { return }
        self.paths.tell { $0.suspicionChanged(isSuspect: isSuspect, at: $1) }
        self.delegate?.peerChannel(self.peerID, isSuspect: isSuspect)
    }

    package func carrierClosed(_ reason: PeerChannelError) {
        if case .closedByPeer = reason {
            self.end(reason, tellingPeer: false)
        } else {
            self.end(reason, tellingPeer: true)
        }
        self.finish()
    }
}

extension PathReport {
    /// For event `peer.paths`.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "event": "peer.paths", "mapping": "\(self.localMapping)", "peer_mapping": "\(self.peerMapping)",
        ]
        if let obstacle = self.obstacle { metadata["reason"] = "\(obstacle)" }
        metadata["report"] = "\(self.ice)"
        return metadata
    }
}
