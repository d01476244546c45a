// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

interface IOracleV1 {
    function proposeL2Output(bytes32 root, uint256 l2Block, uint256 l1Block, bytes calldata proof) external payable;
}

interface IOracleV2 {
    function proposeL2Output(bytes32 root, uint256 l2Block, uint256 l1Block, bytes calldata proof, address prover)
        external
        payable;
}

interface IOracleV3 {
    function proposeL2Output(
        bytes32 configName,
        bytes32 root,
        uint256 l2Block,
        uint256 l1Block,
        bytes calldata proof,
        address prover
    ) external;
}

/// What a factory leaves behind.
contract Game {
    bytes32 public immutable rootClaim;

    constructor(bytes32 root) {
        rootClaim = root;
    }
}

/// A factory of games of type 6, each of which submits to the oracle as its extra data say.
contract Factory {
    error IncorrectBondAmount();
    error NoImplementation(uint32 gameType);
    error GameAlreadyExists(bytes32 uuid);

    event DisputeGameCreated(address indexed game, uint32 indexed gameType, bytes32 indexed root);

    address public owner;
    address public oracle;
    uint8 public generation;
    mapping(uint32 => uint256) public initBonds;
    mapping(bytes32 => address) public games;

    constructor(address oracle_, uint8 generation_, uint256 bond) {
        owner = msg.sender;
        oracle = oracle_;
        generation = generation_;
        initBonds[6] = bond;
    }

    function setInitBond(uint32 gameType, uint256 bond) external {
        require(msg.sender == owner, "Factory: only the owner");
        initBonds[gameType] = bond;
    }

    function create(uint32 gameType, bytes32 root, bytes calldata extra) external payable returns (address game) {
        if (gameType != 6) revert NoImplementation(gameType);
        if (msg.value != initBonds[gameType]) revert IncorrectBondAmount();
        bytes32 uuid = keccak256(abi.encode(gameType, root, extra));
        if (games[uuid] != address(0)) revert GameAlreadyExists(uuid);
        submit(root, extra);
        game = address(new Game(root));
        games[uuid] = game;
        emit DisputeGameCreated(game, gameType, root);
    }

    function submit(bytes32 root, bytes calldata extra) private {
        if (generation == 1) {
            (uint256 l2Block, uint256 l1Block, bytes memory proof) = abi.decode(extra, (uint256, uint256, bytes));
            IOracleV1(oracle).proposeL2Output(root, l2Block, l1Block, proof);
        } else if (generation == 2) {
            uint256 l2Block = uint256(bytes32(extra[:32]));
            uint256 l1Block = uint256(bytes32(extra[32:64]));
            address prover = address(bytes20(extra[64:84]));
            IOracleV2(oracle).proposeL2Output(root, l2Block, l1Block, extra[84:], prover);
        } else {
            (bytes32 name, uint256 l2Block, uint256 l1Block, address prover, bytes memory proof) =
                abi.decode(extra, (bytes32, uint256, uint256, address, bytes));
            IOracleV3(oracle).proposeL2Output(name, root, l2Block, l1Block, proof, prover);
        }
    }
}
