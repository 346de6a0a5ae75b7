/// How a TCP connection and a stream that are glued together come to their ends, each direction by itself. No I/O.
///
/// What one side did reaches the other as it was done: data, then the end, then the reset.
///
/// | seen | done |
/// |---|---|
/// | FIN from the TCP side | FIN on the stream |
/// | FIN on the stream | FIN to the TCP side, behind everything received |
/// | RST of the TCP side, or no sign of life | RESET_STREAM when the peer has everything read before, unless FIN was sent; STOP_SENDING at once |
/// | RESET_STREAM, or the tunnel lost | RST (SO_LINGER 0) when the TCP side's kernel has everything received |
/// | STOP_SENDING | no more reading; RST behind the end of the other direction |
struct HalfClose: Hashable {
    /// The direction from the TCP side to the stream.
    enum Upload: CaseIterable {
        case open
        /// FIN has come, and the stream is finished.
        case ended
        /// The TCP side broke; the stream is reset behind what was read before.
        case broken
        /// Nobody takes what is read: the peer has stopped us, or the stream is over.
        case refused
    }

    /// The direction from the stream to the TCP side.
    enum Download: CaseIterable {
        case open
        /// FIN has come, and waits behind what was written.
        case ending
        /// FIN has been handed to the kernel.
        case ended
        /// The stream broke; RST waits until the TCP side has what was written.
        case breaking
        /// The TCP side takes nothing any more.
        case over
    }

    /// What is left of the TCP connection.
    enum Connection: CaseIterable {
        case open
        /// Its FIN has come, also when nobody took what was before it.
        case inputClosed
        case over
    }

    enum Event: CaseIterable {
        /// FIN, an error or a lost connection, and the end, of the TCP side.
        case inputEnded, connectionBroke, connectionOver
        /// FIN, RESET_STREAM, STOP_SENDING, and the end, of the stream.
        case streamFinished, streamReset, streamStopped, streamClosed
        /// What `writeEnd` has asked for is done.
        case endWritten
    }

    /// What the splice does next, in order.
    enum Action: Hashable {
        /// FIN on the stream.
        case finishStream
        /// RESET_STREAM, at once.
        case resetStream
        /// RESET_STREAM once the peer has everything that was written.
        case resetStreamAfterDelivery
        /// STOP_SENDING.
        case stopStream
        /// Write nothing behind everything received, then tell of `endWritten`: closing now would drop what waits, if the
        /// TCP side has sent its FIN already (NIO makes a full close of it).
        case writeEnd
        /// Closing the connection sends FIN from now on.
        case endInOrder
        /// FIN to the TCP side.
        case closeOutput
        /// Close the connection.
        case close
        /// Close it with RST when the TCP side's kernel has everything, or takes nothing.
        case resetWhenDelivered
    }

    private(set) var upload = Upload.open
    private(set) var download = Download.open
    private(set) var connection = Connection.open
    private(set) var isStreamOver = false
    /// Whether the end is a reset, of either side, and not the end of both directions.
    private(set) var wasReset = false

    /// Whether what the TCP side sends is passed on.
    var takesInput: Bool { self.upload == .open }
    /// Whether what the stream brings is passed on.
    var takesOutput: Bool { self.download == .open && self.connection != .over }
    var isConnectionOver: Bool { self.connection == .over }
    /// Whether nothing will happen any more.
    var isOver: Bool { self.isConnectionOver && self.isStreamOver }

    mutating func receive(_ event: Event) -> [Action] {
        switch event {
        case .inputEnded:
            if self.connection == .open { self.connection = .inputClosed }
            return self.endInput()
        case .connectionBroke:
            return self.breakInput() + (self.isConnectionOver ? [] : [.close])
        case .connectionOver:
            guard !self.isConnectionOver else { return [] }
            self.connection = .over
            switch self.download {
            case .open, .ending: return self.breakInput()
            // After our FIN, the FIN of the other side closes the channel without an event of its own.
            case .ended: return self.endInput()
            case .breaking, .over: return []
            }
        case .streamFinished:
            guard self.takesOutput else { return [] }
            self.download = .ending
            return [.writeEnd]
        case .endWritten:
            return self.endOutput()
        case .streamReset:
            return (self.refuseInput() ? [.resetStream] : []) + self.breakOutput()
        case .streamStopped:
            _ = self.refuseInput()
            // Before the end of the other direction is here, there is more to be delivered.
            return self.download == .ended ? self.breakOutput() : []
        case .streamClosed:
            self.isStreamOver = true
            let isUnfinished = self.refuseInput()
            switch self.download {
            case .open: return self.breakOutput()
            case .ended: return isUnfinished ? self.breakOutput() : []
            case .ending, .breaking, .over: return []
            }
        }
    }

    /// FIN has come from the TCP side.
    private mutating func endInput() -> [Action] {
        guard self.upload == .open else { return [] }
        self.upload = .ended
        return [.finishStream] + (self.download == .ended && !self.isConnectionOver ? [.close] : [])
    }

    /// The TCP side is broken. The peer hears of it behind everything that was read, and sends no more.
    private mutating func breakInput() -> [Action] {
        self.wasReset = true
        var actions: [Action] = []
        if self.upload == .open {
            self.upload = .broken
            actions.append(.resetStreamAfterDelivery)
        }
        // What came before a FIN was sent in good order, and arrives, whatever happened to the answer.
        if self.download != .over {
            self.download = .over
            actions.append(.stopStream)
        }
        return actions
    }

    /// Nothing that is read from the TCP side has a place to go any more; false when it had none before.
    private mutating func refuseInput() -> Bool {
        guard self.upload == .open else { return false }
        self.upload = .refused
        return true
    }

    /// FIN has been written, behind everything received.
    private mutating func endOutput() -> [Action] {
        guard self.download == .ending, !self.isConnectionOver else { return [] }
        self.download = .ended
        switch self.upload {
        case .open: return [.endInOrder, .closeOutput]
        case .ended, .broken: return [.endInOrder, .close]
        // With the other direction closed, NIO would close the whole, and nobody would see the reset.
        case .refused:
            return [.endInOrder] + (self.connection == .open ? [.closeOutput] : []) + self.breakOutput()
        }
    }

    /// The peer has broken off: RST to the TCP side, which must not take what it got for the whole, but get all of it.
    private mutating func breakOutput() -> [Action] {
        self.wasReset = true
        guard !self.isConnectionOver, self.download == .open || self.download == .ended else { return [] }
        self.download = .breaking
        return [.resetWhenDelivered]
    }
}
