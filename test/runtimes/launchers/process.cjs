const { argv, stdout } = require('node:process');

const lib = require('keyverify');

void import('./suite.js')
  .then(({ conform }) => conform({ lib, ...JSON.parse(argv[2]) }))
  .then((report) => stdout.write(JSON.stringify(report)));
