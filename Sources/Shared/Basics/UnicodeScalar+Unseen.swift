extension Unicode.Scalar {
    /// Whether it is not seen where text is shown, and may change what is: C0 and C1 controls, line and paragraph separators,
    /// invisible formatting such as a change of direction, and what has no meaning.
    package var isUnseen: Bool {
        switch self.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
