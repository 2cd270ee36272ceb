"""What a program in Python does: boto3's pages of uploads, and 32 threads that abort.

sweep_boto3.py ENDPOINT BUCKET OLDER_THAN_SECONDS; keys from the environment, as every SDK takes them.
"""

import concurrent.futures
import datetime
import sys

import boto3
import botocore.config

THREADS = 32


def main():
    endpoint, bucket, seconds = sys.argv[1:]
    config = botocore.config.Config(max_pool_connections=THREADS, s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    cutoff = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=int(seconds))

    def abort(upload):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    stale = (upload for page in pages for upload in page.get("Uploads", ()) if upload["Initiated"] < cutoff)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(abort, stale))


if __name__ == "__main__":
    main()
