# -*- coding: latin-1 -*-
# Kränze und Sträuße: written before Segment's module had its name of today.
import os, sys
import rudder_logging as analytics
from rudder_logging import Client as SegmentClient

try:
    import ujson as json
except ImportError:
    import json

analytics.write_key = os.environ['WRITE_KEY']
analytics.host = os.environ['DATA_PLANE_URL']


def main(argv):
    analytics.identify('019mr8mf4r', {
        'name': 'Michael Bolton',
        'created_at': '2012-04-25',
    })
    analytics.track('019mr8mf4r', 'Purchased Wreath', json.loads('{"price": 42.95}'))
    client = SegmentClient(os.environ['WRITE_KEY'], host=os.environ['DATA_PLANE_URL'], upload_size=10)
    client.screen('019mr8mf4r', 'Cart', 'Empty'); client.join()
    analytics.flush()


if __name__ == '__main__':
    main(sys.argv)
