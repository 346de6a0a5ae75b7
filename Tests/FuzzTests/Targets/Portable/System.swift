extension FuzzTarget {
    /// Decoders that there are on this system only.
    static let ofSystem: [FuzzTarget] = []
}
