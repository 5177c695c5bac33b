"""What the tests, the bench and the fuzz targets share: AdmissionReviews, a control plane, a stand-in for an API server."""
