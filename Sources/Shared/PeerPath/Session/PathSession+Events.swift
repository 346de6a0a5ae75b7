import ICE
import NIOCore
import STUN

/// From the pairs that ICE finds to the path in use: a pair is used for good once its monitor has confirmed it.
extension PathSession {
    mutating func handle(_ event: ICEEvent, at now: NIODeadline) {
        switch event {
        case .pairUsable(let pair), .selectedPairChanged(let pair):
            self.select(pair, at: now)
        case .consentLost(let pair):
            self.put(.note(.peerStoppedAnswering(pair.remote)))
            self.drop(pair)
        case .probeAnswered(let id, let size, let roundTripTime):
            for place in PathSelection.Place.allCases {
                self.selection[place]?.answered(id, hasPadding: size != nil, roundTripTime: roundTripTime, at: now)
            }
        case .rttSample:
            // A good moment: some seconds have passed, and the path works.
            self.updateCeiling(at: now)
        case .roleChanged:
            break
        case .failed(let report):
            self.put(.failed(report))
        }
    }

    private mutating func select(_ pair: ICECandidatePair, at now: NIODeadline) {
        guard !self.selection.keeps(pair) else { return }
        self.selection.begin(
            DirectPath(
                pair: pair,
                monitor: PathMonitor(
                    ceiling: self.ceiling(of: pair) ?? SelectedPath.largestDatagram,
                    usesPadding: self.peerAnswersPadding, roundTripTime: pair.roundTripTime, at: now)))
        self.put(.pathsChanged(.found))
    }

    private mutating func drop(_ pair: ICECandidatePair) {
        guard let place = self.selection.place(of: pair) else { return }
        let wasConfirmed = self.selection[place]?.standing == .confirmed
        self.selection.remove(place)
        if wasConfirmed { self.put(.pathsChanged(.consentLost)) }
    }

    /// Sends the probes that are due and takes what the monitor has to say. False when that was nothing.
    mutating func drainMonitor(of place: PathSelection.Place, at now: NIODeadline) -> Bool {
        var isBusy = false
        while let size = self.selection[place]?.monitor.nextProbe(), let pair = self.selection[place]?.pair {
            isBusy = true
            if let id = self.probe(pair, size, at: now) { self.selection[place]?.monitor.sent(id, size: size) }
        }
        if let path = self.selection[place], let segments = path.segmentation.nextBurst() {
            isBusy = true
            let checks = self.sendBurst(segments, by: path, at: now)
            self.selection[place]?.segmentation.sent(checks, roundTripTime: path.roundTripTime, at: now)
        }
        while let event = self.selection[place]?.monitor.nextEvent() {
            isBusy = true
            switch event {
            case .confirmed: self.confirmed(place)
            case .carriesTooLittle: self.reject(place, at: now)
            case .lost(let loss): self.lost(place, loss)
            case .limitChanged: break
            }
        }
        return isBusy
    }

    /// Sends so many checks of full size in one send, and one by itself; nil when ICE has given the pair up.
    private mutating func sendBurst(
        _ segments: Int, by path: DirectPath, at now: NIODeadline
    ) -> (burst: [TransactionID], single: TransactionID)? {
        // What was to be sent before goes by itself.
        self.drainTransmits(at: now)
        var checks: [TransactionID] = []
        while checks.count < segments, let id = self.probe(path.pair, path.limit, at: now) { checks.append(id) }
        guard checks.count == segments else { return nil }
        var bytes = ByteBuffer()
        var size = 0
        while let transmit = self.agent.nextTransmit() {
            size = transmit.payload.readableBytes
            bytes.writeImmutableBuffer(transmit.payload)
        }
        self.put(.transmit(bytes, segmentSize: size, base: path.pair.base, to: path.pair.remoteAddress))
        return self.probe(path.pair, path.limit, at: now).map { (checks, $0) }
    }

    private mutating func probe(_ pair: ICECandidatePair, _ size: Int, at now: NIODeadline) -> TransactionID? {
        self.agent.probe(pair.id, size: size == 0 ? nil : size, at: now)
    }

    private mutating func confirmed(_ place: PathSelection.Place) {
        // One that is confirmed anew only says what it carries now.
        guard self.selection[place]?.standing != .confirmed else { return }
        self.selection.confirmed(place)
        self.put(.pathsChanged(place == .active ? .confirmed : .betterPair))
    }

    /// ICE's checks get through, what the path is for does not: ICE may have another pair, or look for one. A path that was in
    /// use may come back, and its loss has had its consequences.
    private mutating func reject(_ place: PathSelection.Place, at now: NIODeadline) {
        guard let path = self.selection[place], path.standing == .unconfirmed else { return }
        self.put(.note(.carriesSmallDatagramsOnly(path.pair.remote)))
        self.selection.remove(place)
        self.agent.reject(path.pair.id, at: now)
        guard self.isSearching else { return }
        self.put(.pathsChanged(.carriesOnlySmallDatagrams))
        // The spread has not begun for as long as there was a pair.
        self.endSpread()
        self.spread = nil
        self.considerSpread(at: now)
    }

    private mutating func lost(_ place: PathSelection.Place, _ loss: PathMonitor.Loss) {
        guard self.selection[place]?.standing == .confirmed else { return }
        self.selection.lost()
        self.put(.pathsChanged(loss == .silent ? .silent : .carriesOnlySmallDatagrams))
    }
}
