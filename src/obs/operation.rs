//! The operations of the service that this library uses.

/// An operation, by its name in Huawei's OBS API reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// "Canceling a Multipart Upload Task": `DELETE /key?uploadId=`.
    AbortMultipartUpload,
    /// "Listing Uploaded Parts": `GET /key?uploadId=`.
    ListParts,
    /// "Listing Initiated Multipart Uploads": `GET /?uploads`.
    ListMultipartUploads,
    /// "Listing Buckets": `GET /`.
    ListBuckets,
}

impl Operation {
    /// The method of its requests.
    pub fn method(self) -> &'static str {
        match self {
            Operation::AbortMultipartUpload => "DELETE",
            Operation::ListParts | Operation::ListMultipartUploads | Operation::ListBuckets => "GET",
        }
    }

    /// The one status that means success. Another 2xx does not come from this service.
    pub fn success_status(self) -> u16 {
        match self {
            Operation::AbortMultipartUpload => 204,
            Operation::ListParts | Operation::ListMultipartUploads | Operation::ListBuckets => 200,
        }
    }

    /// The permission that it needs, by the name that policies use.
    pub fn permission(self) -> &'static str {
        match self {
            Operation::AbortMultipartUpload => "obs:object:AbortMultipartUpload",
            Operation::ListParts => "obs:object:ListMultipartUploadParts",
            Operation::ListMultipartUploads => "obs:bucket:ListBucketMultipartUploads",
            Operation::ListBuckets => "obs:bucket:ListAllMyBuckets",
        }
    }
}
